"""Images of a side as the training loop takes them: decoded once, kept in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import DataError
from edge_convnext.core.progress import Track
from edge_convnext.data.images import ImageSet
from edge_convnext.data.preprocess import open_image, resize_image

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from edge_convnext.networks.training.loop import LabelledPixels

__all__ = ["read_pixels"]


def read_pixels(
    images: ImageSet, preprocess: Preprocess, device: torch.device, side: str, track: Track
) -> LabelledPixels:
    """Read one side.

    Args:
        images: Labelled images.
        preprocess: Size that they are stored in, and how they are resized to it.
        device: Device of the labels and, where they fit, of the pixels.
        side: Name of the side in messages.
        track: Shows the images.

    Returns:
        uint8 pixels and int64 labels.

    Raises:
        DataError: There are no images, or some have no label.
    """
    import torch

    from edge_convnext.networks.training.loop import LabelledPixels
    from edge_convnext.networks.training.pixels import load_pixels

    def read(index: int) -> NDArray[np.uint8]:
        image = open_image(images.samples[index].path)
        return np.asarray(resize_image(image, preprocess))

    labels = [sample.label for sample in images.samples if sample.label is not None]
    if len(labels) != len(images) or not labels:
        raise DataError(f"the {side} side has no images, or some without a label")
    what = f"reading {side} images"
    pixels = load_pixels(read, len(images), preprocess.image_size, device, what, track)
    return LabelledPixels(pixels, torch.tensor(labels))

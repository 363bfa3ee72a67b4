"""Normalised images in the type and layout that a graph takes them in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.artifacts import METADATA_KEY, ImagesType, ModelInfo, Preprocess
from edge_convnext.core.errors import InferenceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["ImageBorder", "read_border", "to_pixels"]

_TYPES: Mapping[str, ImagesType] = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
}


@dataclass(frozen=True)
class ImageBorder:
    """How a graph takes its images."""

    kind: ImagesType
    shape: tuple[int | None, ...]  # (N, C, H, W), whatever the layout; None where it is dynamic
    channels_last: bool = False
    preprocess: Preprocess | None = None  # of pixels, to undo the normalisation

    def adapt(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """Turn normalised float32[N, C, H, W] into what the graph takes.

        Pixels come out as they were decoded: rounding undoes what the normalisation rounded.
        """
        if self.kind != "uint8":
            return images.astype(self.kind, copy=False)
        assert self.preprocess is not None  # `read_border` saw to it
        return to_pixels(images, self.preprocess, self.channels_last)


def to_pixels(
    images: NDArray[np.float32], preprocess: Preprocess, channels_last: bool
) -> NDArray[np.uint8]:
    """The pixels that images were normalised from: rounding undoes what that rounded.

    Args:
        images: float32[N, C, H, W].
        preprocess: That they were normalised with.
        channels_last: Whether pixels are [N, H, W, C] or [N, C, H, W].

    Raises:
        InferenceError: They are neither RGB nor grey.
    """
    mean, std = np.array(preprocess.mean), np.array(preprocess.std)
    if images.ndim != 4 or images.shape[1] not in (1, len(mean)):
        raise InferenceError(f"{list(images.shape)} is no batch of images, RGB or grey")
    if images.shape[1] == 1:  # as `data.pixels.normalise` does
        mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
    values = images * std.reshape(-1, 1, 1) + mean.reshape(-1, 1, 1)
    pixels = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)) if channels_last else pixels


def read_border(
    kind: str, shape: Sequence[int | str | None], metadata: Mapping[str, str], path: Path
) -> ImageBorder:
    """Tell how a graph takes its images.

    Args:
        kind: ONNX Runtime's word for the element type, such as `tensor(uint8)`.
        shape: In the graph's own layout; a name or None where it is dynamic.
        metadata: Of the graph.
        path: For messages.

    Raises:
        ArtifactError: A graph of pixels without this package's metadata.
    """
    sizes = tuple(size if isinstance(size, int) else None for size in shape)
    if _TYPES.get(kind) != "uint8":
        return ImageBorder(_TYPES.get(kind, "float32"), sizes)
    info = ModelInfo.from_metadata(metadata, path)
    last = json.loads(metadata[METADATA_KEY]).get("images_layout") == "nhwc"
    if last:
        sizes = (sizes[0], sizes[3], sizes[1], sizes[2])
    return ImageBorder("uint8", sizes, last, info.preprocess)

"""Convert normalised images to the type and layout that a graph takes."""

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
    """Type, shape and layout of a graph's images."""

    kind: ImagesType
    shape: tuple[int | None, ...]  # (N, C, H, W) for either layout; None where it is dynamic
    channels_last: bool = False
    preprocess: Preprocess | None = None  # for graphs of pixels, to undo the normalisation

    def holds(self, images: NDArray[Any]) -> bool:
        """Whether images are in the graph's own type, layout and size: `adapt` made them."""
        if self.kind == "float32" or images.dtype != np.dtype(self.kind) or images.ndim != 4:
            return False
        shape = images.shape
        own = (shape[0], shape[3], *shape[1:3]) if self.channels_last else shape
        return all(want in (None, have) for want, have in zip(self.shape, own, strict=True))

    def adapt(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """Turn normalised float32[N, C, H, W] into the graph's type and layout.

        Pixels come out exactly as they were decoded: rounding removes the normalisation's error.
        """
        if self.kind != "uint8":
            return images.astype(self.kind, copy=False)
        assert self.preprocess is not None  # `read_border` sets it for pixels
        return to_pixels(images, self.preprocess, self.channels_last)


def to_pixels(
    images: NDArray[np.float32], preprocess: Preprocess, channels_last: bool
) -> NDArray[np.uint8]:
    """Recover the pixels that images were normalised from, exactly.

    Args:
        images: Normalised images, float32[N, C, H, W].
        preprocess: The preprocessing that normalised them.
        channels_last: True for pixels [N, H, W, C], False for [N, C, H, W].

    Returns:
        Pixels, uint8, in the layout of `channels_last`.

    Raises:
        InferenceError: The images are neither RGB nor grey.
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
    """Find out which type, shape and layout of images a graph takes.

    Args:
        kind: ONNX Runtime's word for the element type, such as `tensor(uint8)`.
        shape: The input's shape in the graph's layout; a name or None where it is dynamic.
        metadata: The graph's metadata.
        path: The graph's file, for messages.

    Raises:
        ArtifactError: The graph takes pixels and has no metadata of this package.
    """
    sizes = tuple(size if isinstance(size, int) else None for size in shape)
    if _TYPES.get(kind) != "uint8":
        return ImageBorder(_TYPES.get(kind, "float32"), sizes)
    info = ModelInfo.from_metadata(metadata, path)
    last = json.loads(metadata[METADATA_KEY]).get("images_layout") == "nhwc"
    if last:
        sizes = (sizes[0], sizes[3], sizes[1], sizes[2])
    return ImageBorder("uint8", sizes, last, info.preprocess)

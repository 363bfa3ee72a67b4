"""From an image file to the network's input, the same way in training, calibration and use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import DataError, RecipeError
from edge_convnext.core.sections import PreprocessConfig
from edge_convnext.data import pixels
from edge_convnext.data.pixels import MAX_PIXELS

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "MAX_PIXELS",
    "PIXELS",
    "check_preprocess",
    "decode_image",
    "decode_pixels",
    "image_mode",
    "normalise",
    "open_image",
    "resize_image",
    "resolve_preprocess",
]
PIXELS = "pixels/2"  # in the cache key of what depends on pixels; 2: `shortest` resizes to a floor


def check_preprocess(preprocess: Preprocess) -> None:
    """Refuse a crop that the resize would never make.

    Raises:
        RecipeError: `crop_pct` below 1 with `squash`.
    """
    if preprocess.resize == "squash" and preprocess.crop_pct < 1.0:
        raise RecipeError(
            f"preprocess.crop_pct is {preprocess.crop_pct:g}, but resize 'squash' crops nothing: "
            "pass --resize shortest, or --crop-pct 1"
        )


def decode_image(path: Path, preprocess: Preprocess, in_channels: int = 3) -> NDArray[np.float32]:
    """Read, resize and normalise one image.

    Args:
        path: An image file.
        preprocess: Preprocessing, as the model carries it.
        in_channels: 3 for RGB; 1 for luma, normalised by the average of `mean` and of `std`.

    Returns:
        float32[in_channels, height, width].

    Raises:
        DataError: The file can't be decoded, or the model takes neither 1 nor 3 channels.
    """
    return normalise(decode_pixels(path, preprocess, in_channels), preprocess)


def decode_pixels(path: Path, preprocess: Preprocess, in_channels: int = 3) -> NDArray[np.uint8]:
    """Read and resize one image: all of `decode_image` but `normalise`.

    Returns:
        uint8[height, width, 3], or uint8[height, width] for one channel.

    Raises:
        DataError: As for `decode_image`.
    """
    return np.asarray(resize_image(open_image(path, image_mode(in_channels)), preprocess))


def open_image(path: Path, mode: str = "RGB") -> Image.Image:
    """Decode a file into upright 8-bit pixels, of mode "RGB" or "L"; see `pixels.open_upright`.

    Raises:
        DataError: Not an image, damaged, over `MAX_PIXELS`, or without a fixed value range.
    """
    try:
        return pixels.open_upright(path, mode, MAX_PIXELS)
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise DataError(f"{path}: {pixels.explain(path, error)}") from error


def resize_image(image: Image.Image, preprocess: Preprocess) -> Image.Image:
    """Resize and crop to height x width, as `Preprocess` describes.

    Source:
        torchvision.transforms `Resize` and `CenterCrop`, with their rounding, at the size that
        timm and transformers pass to them; timm's own resize for a rectangle. See `pixels.fit`.
    """
    return pixels.fit(
        image,
        preprocess.image_size,
        preprocess.resize,
        preprocess.crop_pct,
        preprocess.interpolation,
    )


def normalise(values: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.float32]:
    """Scale to 0..1, subtract `mean`, divide by `std`.

    Args:
        values: uint8[H, W, 3], or uint8[H, W].
        preprocess: Preprocessing with `mean` and `std`.

    Returns:
        float32[3, H, W], or float32[1, H, W].
    """
    return pixels.normalise(values, preprocess.mean, preprocess.std)


def image_mode(in_channels: int) -> str:
    """The mode that files are opened in for a model with so many input channels.

    Raises:
        DataError: A model with so many channels can't read image files.
    """
    try:
        return pixels.mode_for(in_channels)
    except ValueError as error:
        raise DataError(str(error)) from None


def resolve_preprocess(config: PreprocessConfig, base: Preprocess) -> Preprocess:
    """`base` with the fields that `config` states.

    Raises:
        RecipeError: They contradict each other.
    """
    stated = {name: value for name, value in config.model_dump().items() if value is not None}
    if stated.get("resize") == "squash":
        stated.setdefault("crop_pct", 1.0)  # the weights' own crop belongs to their own resize
    resolved = replace(base, **stated)
    check_preprocess(resolved)
    return resolved

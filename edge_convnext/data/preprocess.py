"""From an image file to the network's input, the same way in training, calibration and use."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from edge_convnext.artifacts import Preprocess
from edge_convnext.bounded import require_regular
from edge_convnext.errors import DataError, RecipeError

__all__ = [
    "MAX_PIXELS",
    "check_preprocess",
    "decode_image",
    "decode_pixels",
    "normalise",
    "open_image",
    "resize_image",
]

MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs

# Only these decoders: a file is what its bytes say, and Pillow would run Ghostscript on an
# EPS that is called .jpg.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
        preprocess: The recipe's, as the model carries it.
        in_channels: 3 for RGB; 1 for luma, normalised by the average of `mean` and of `std`.

    Returns:
        float32[in_channels, image_size, image_size].

    Raises:
        DataError: The file can't be decoded, or the model takes neither 1 nor 3 channels.
    """
    return normalise(decode_pixels(path, preprocess, in_channels), preprocess)


def decode_pixels(path: Path, preprocess: Preprocess, in_channels: int = 3) -> NDArray[np.uint8]:
    """Read and resize one image: all of `decode_image` but `normalise`.

    Returns:
        uint8[image_size, image_size, 3], or uint8[image_size, image_size] for one channel.

    Raises:
        DataError: See `decode_image`.
    """
    return np.asarray(resize_image(open_image(path, _mode(in_channels)), preprocess))


def open_image(path: Path, mode: Literal["RGB", "L"] = "RGB") -> Image.Image:
    """Decode a file into upright 8-bit pixels.

    Alpha is dropped and not blended, and the first frame of an animation is taken, as the
    common training loaders do; 16-bit values keep their high byte.

    Raises:
        DataError: Not an image, damaged, over `MAX_PIXELS`, or without a fixed value range.
    """
    try:
        if path.exists():
            require_regular(path)
        Image.init()  # a Pillow may lack one of them
        with Image.open(path, formats=[name for name in _FORMATS if name in Image.OPEN]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{image.width}x{image.height} is over {MAX_PIXELS} pixels")
            image.load()
            turn = _UPRIGHT.get(_read_orientation(image))
            flat = _to_8_bit(image).convert(mode)
            return flat.transpose(turn) if turn is not None else flat
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise DataError(f"{path}: {_explain(path, error)}") from error


def resize_image(image: Image.Image, preprocess: Preprocess) -> Image.Image:
    """Resize and crop to image_size x image_size, as `Preprocess` describes.

    Source:
        torchvision.transforms `Resize` and `CenterCrop`, whose rounding is kept.
    """
    side, resampling = preprocess.image_size, _RESAMPLING[preprocess.interpolation]
    if preprocess.resize == "squash":
        return image.resize((side, side), resampling)
    short = round(side / preprocess.crop_pct)
    long = int(short * max(image.size) / min(image.size))
    width, height = (short, long) if image.width <= image.height else (long, short)
    left, top = round((width - side) / 2), round((height - side) / 2)
    if width * height <= MAX_PIXELS:
        resized = image.resize((width, height), resampling)
        return resized.crop((left, top, left + side, top + side))
    # A very long image: don't make the gigabytes that the crop would cut away.
    across, down = image.width / width, image.height / height
    right, bottom = (left + side) * across, (top + side) * down
    box = (left * across, top * down, min(right, image.width), min(bottom, image.height))
    return image.resize((side, side), resampling, box)


def normalise(pixels: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.float32]:
    """Scale to 0..1, subtract `mean`, divide by `std`.

    Args:
        pixels: uint8[H, W, 3], or uint8[H, W].
        preprocess: Holds `mean` and `std`.

    Returns:
        float32[3, H, W], or float32[1, H, W].
    """
    mean, std = np.array(preprocess.mean), np.array(preprocess.std)
    if pixels.ndim == 2:
        pixels, mean, std = pixels[:, :, None], mean.mean(keepdims=True), std.mean(keepdims=True)
    scale = (1 / (255 * std)).astype(np.float32)
    shift = (mean / std).astype(np.float32)
    values = np.empty((pixels.shape[2], *pixels.shape[:2]), np.float32)
    np.multiply(pixels.transpose(2, 0, 1), scale[:, None, None], out=values)
    values -= shift[:, None, None]
    return values


def _mode(in_channels: int) -> Literal["RGB", "L"]:
    if in_channels == 3:
        return "RGB"
    if in_channels == 1:
        return "L"
    raise DataError(
        f"a model with {in_channels} input channels can't read image files (3: RGB, 1: grey)"
    )


def _read_orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where there is none; a damaged EXIF block is not a damaged image."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # whatever the damage leads to
        return 1


def _to_8_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        # Pillow's own conversion clips at 255 instead.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DataError("32-bit values have no fixed range; convert it to 8 or 16 bits")
    if image.mode in ("P", "PA", "RGBa"):  # a palette's transparency makes Pillow warn on RGB
        return image.convert("RGBA")
    return image


def _explain(path: Path, error: Exception) -> str:
    if isinstance(error, DataError):
        return f"can't be used ({error})"
    if isinstance(error, UnidentifiedImageError):
        kinds = ", ".join(_FORMATS)
        return "empty file" if path.stat().st_size == 0 else f"not an image ({kinds})"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"can't be used (over {MAX_PIXELS} pixels)"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"can't be decoded ({' '.join(reason.split())})"

"""The one implementation of pixels: from an image file to the input of a network.

`deploy.programs` puts this file into the programs it writes, which have numpy and Pillow but not
this package. So nothing of the package is used here.
"""

from __future__ import annotations

import math
import re
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeAlias

    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

    File: TypeAlias = str | os.PathLike[str]

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "explain",
    "fit",
    "mode_for",
    "normalise",
    "open_upright",
    "read_image",
]

MAX_PIXELS = 1 << 28  # a phone's 200 megapixels; twice 4 bytes each are in memory at once
_ALONE = 1 << 25  # larger ones are decoded one at a time
# Only these decoders: a file is what its bytes say, and Pillow would run Ghostscript on an
# EPS that is called .jpg.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")
_SWAP, _TAKE_TURNS = threading.Lock(), threading.Lock()
_ORIENTATION, _BITS = 0x0112, 0x0102  # tags of EXIF and TIFF


def read_image(path: File, model: Mapping[str, Any]) -> NDArray[Any]:
    """Read the input of a network, one image: float32[1, C, H, W], or pixels where it takes them.

    `model` has "preprocess" and "in_channels" as the metadata of a built model has them, and of one
    that takes pixels "images_type" and "images_layout". A file that can't be used is a ValueError.
    """
    pre = model["preprocess"]
    try:
        image = open_upright(path, mode_for(model["in_channels"]))
        image = fit(image, pre["image_size"], pre["resize"], pre["crop_pct"], pre["interpolation"])
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise ValueError(f"{path}: {explain(path, error)}") from error
    pixels = np.asarray(image)
    if model.get("images_type") != "uint8":
        return normalise(pixels, pre["mean"], pre["std"])[None]
    pixels = pixels.reshape(1, *pixels.shape[:2], -1)
    return pixels if model.get("images_layout") == "nhwc" else pixels.transpose(0, 3, 1, 2)


class _RefusedError(ValueError):
    """An image that could be decoded and can't be used, with the reason."""


def open_upright(path: File, mode: str, most_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a file into upright 8-bit pixels: a PIL image of mode "RGB" or "L".

    Alpha is dropped and not blended, and the first frame of an animation is taken, as the common
    training loaders do; values of 12 and 16 bits keep their high byte. What is refused raises; for
    a message see `explain`.
    """
    kind = Path(path).stat().st_mode
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "a pipe or a device"
        raise _RefusedError(f"{what}, not an image file")
    with _open(path) as image:
        count = image.width * image.height
        if count > most_pixels:
            size = f"{image.width}x{image.height}"
            raise _RefusedError(
                f"{size} is over {most_pixels} pixels; save it smaller, or cut it up"
            )
        if count <= _ALONE:
            return _decode(image, mode)
        with _TAKE_TURNS:
            return _decode(image, mode)


def fit(
    image: Image.Image,
    size: int | Sequence[int],
    resize: str,
    crop_pct: float,
    interpolation: str,
) -> Image.Image:
    """Resize and crop to a square of `size`, or to its height and width.

    "squash" ignores the aspect; "shortest" covers the size, enlarged by `crop_pct`, and crops the
    centre.

    Source: `CenterCrop` of torchvision, with its rounding, behind the resize of `_cover`.
    """
    how = Image.Resampling[interpolation.upper()]
    height, width = (size, size) if isinstance(size, int) else size
    if resize == "squash":
        return image.resize((width, height), how)
    wide, high = _cover(image, height, width, crop_pct)
    left, top = round((wide - width) / 2), round((high - height) / 2)
    if wide * high <= 89_478_485:
        resized = image.resize((wide, high), how)
        return resized.crop((left, top, left + width, top + height))
    # A very long image: don't make the gigabytes that the crop would cut away.
    across, down = image.width / wide, image.height / high
    right, bottom = (left + width) * across, (top + height) * down
    box = (left * across, top * down, min(right, image.width), min(bottom, image.height))
    return image.resize((width, height), how, box)


def _cover(image: Image.Image, height: int, width: int, crop_pct: float) -> tuple[int, int]:
    """Width and height of the smallest resized image that the crop can be cut from.

    Source: for a square `Resize(floor(side / crop_pct))` of torchvision, as timm and the image
    processor of ConvNeXt in transformers use it; for a rectangle `ResizeKeepRatio` of timm 1.0.31,
    as `transforms_imagenet_eval` uses it. Each rounds in its own way, which is kept.
    """
    if height == width:
        short = math.floor(height / crop_pct)
        long = int(short * max(image.size) / min(image.size))
        return (short, long) if image.width <= image.height else (long, short)
    down = image.height / math.floor(height / crop_pct)
    across = image.width / math.floor(width / crop_pct)
    ratio = min(down, across)
    return round(image.width / ratio), round(image.height / ratio)


def normalise(
    pixels: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """Scale uint8[H, W, 3] or [H, W] to 0..1, subtract `mean`, divide by `std`: float32[C, H, W].

    One channel is normalised by the averages of the three means and of the three stds.
    """
    means, stds = np.array(mean), np.array(std)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
        means, stds = means.mean(keepdims=True), stds.mean(keepdims=True)
    scale = (1 / (255 * stds)).astype(np.float32)
    shift = (means / stds).astype(np.float32)
    values = np.empty((pixels.shape[2], *pixels.shape[:2]), np.float32)
    np.multiply(pixels.transpose(2, 0, 1), scale[:, None, None], out=values)
    values -= shift[:, None, None]
    return values


def mode_for(in_channels: int) -> str:
    """The mode of `open_upright` for a network with so many input channels."""
    if in_channels not in (1, 3):
        raise _RefusedError(
            f"a model with {in_channels} input channels can't read image files (3: RGB, 1: grey)"
        )
    return "RGB" if in_channels == 3 else "L"


def explain(path: File, error: Exception) -> str:
    """Explain in one line, without the file's name, why `open_upright` raised."""
    if isinstance(error, FileNotFoundError) and re.match(r"[A-Za-z][\w+.-]+:/", str(path)):
        return "is an address, not a file: download it first"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnidentifiedImageError):
        empty = Path(path).stat().st_size == 0
        return "empty file" if empty else f"not an image ({', '.join(FORMATS)})"
    if isinstance(error, _RefusedError):
        said = str(error)
        return f"is {said}" if said.endswith("not an image file") else f"can't be used ({said})"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"can't be decoded ({' '.join(reason.split())})"


def _open(path: File) -> ImageFile:
    """Read the header; the caller, not Pillow, decides how many pixels are too many."""
    Image.init()
    with _SWAP:  # Pillow's limit is global to the process
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN])
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _decode(image: ImageFile, mode: str) -> Image.Image:
    image.load()
    turn = _UPRIGHT.get(_read_orientation(image))
    flat = _to_8_bit(image)
    flat = flat if flat.mode == mode else flat.convert(mode)
    return flat if turn is None else flat.transpose(turn)


_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _read_orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where there is none; a damaged EXIF block is not a damaged image."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damage may raise any error
        return 1


def _to_8_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        # Pillow's own conversion clips at 255 instead; a TIFF of 12 bits it leaves at 0 to 4095.
        tags = getattr(image, "tag_v2", {})
        spare = 4 if tags.get(_BITS, (16,))[0] == 12 else 8
        return Image.fromarray((np.asarray(image) >> spare).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise _RefusedError(
            "values of 32 bits, or with a sign, have no fixed range; convert it to 8 or 16 bits"
        )
    if image.mode in ("P", "PA", "RGBa"):  # a palette's transparency makes Pillow warn on RGB
        return image.convert("RGBA")
    return image.convert("RGB") if image.mode == "LAB" else image  # Pillow can't convert LAB to L

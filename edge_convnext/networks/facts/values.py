"""Read one value of a setting in any spelling, and check it."""

from __future__ import annotations

import math
import re
from typing import Any

from edge_convnext.core.artifacts import MAX_IMAGE_SIZE, Interpolation
from edge_convnext.core.errors import shorten
from edge_convnext.core.image_size import ImageSize, even_size, show_size
from edge_convnext.core.licences import LICENCES
from edge_convnext.core.standins import to_plain

__all__ = [
    "Problem",
    "crop_pct_of",
    "plain_value",
    "read_channels",
    "read_fraction",
    "read_interpolation",
    "read_licence",
    "read_number",
    "read_size",
]

_LEAST_SIZE = 32  # the network halves its input five times
_PILLOW: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_OPENCV: dict[str, Interpolation] = {
    "linear": "bilinear", "cubic": "bicubic", "area": "bilinear", "lanczos4": "lanczos",
}  # fmt: skip


_MOST_NUMBERS = 16  # of a tensor that states a setting


def plain_value(value: Any) -> Any:
    """`to_plain`, and small tensors as lists or numbers: scripts keep mean and std in tensors."""
    value = to_plain(value)
    if type(value).__name__ not in ("Tensor", "Parameter"):
        return value
    try:
        if value.numel() > _MOST_NUMBERS:
            return None
        return value.flatten().tolist() if value.dim() else value.item()
    except (
        RuntimeError,
        NotImplementedError,
        ValueError,
    ):  # a tensor without values, such as a meta tensor
        return None


class Problem(Exception):  # noqa: N818
    """A value exists and can't be used. The text ends a sentence that begins with the place."""


def read_size(value: Any) -> ImageSize | None:
    """Read the size of an image in pixels; None where the value means something else.

    Read are 224, "224", "224x224", [192, 256], [3, 192, 256], [192, 256, 3], and transformers'
    mappings of `height` and `width` or `shortest_edge`. The height comes first.

    Raises:
        Problem: A size that the network can't take, or "192x256": screens have the width first.

    Source:
        timm 1.0.31, `data/config.py`: input_size is (channels, height, width); torchvision 0.29,
        `Resize` and `CenterCrop`: (h, w); Keras, `target_size`: (height, width).
    """
    value = plain_value(value)
    turned = isinstance(value, str) and re.search(r"\d\s*[xX*]\s*\d", value) is not None
    if isinstance(value, str):
        value = [int(one) for one in re.findall(r"\d{1,5}", value)][:4]
    if isinstance(value, dict):
        value = _sides(value)
    sides = list(value) if isinstance(value, list | tuple) else [value]
    sides = [int(one) if isinstance(one, float) and one.is_integer() else one for one in sides]
    if not sides or not all(type(one) is int for one in sides):
        return None
    if len(sides) == 4:
        sides = sides[1:]  # of a batch
    if len(sides) == 3:
        sides = sides[1:] if sides[0] in (1, 3, 4) else sides[:-1] if sides[2] in (1, 3, 4) else []
    if len(sides) not in (1, 2) or min(sides) < 1:
        return None
    size: ImageSize = even_size((int(sides[0]), int(sides[-1])))
    if not _LEAST_SIZE <= min(sides) <= max(sides) <= MAX_IMAGE_SIZE:
        raise Problem(f"says {show_size(size)} pixels, not {_LEAST_SIZE} to {MAX_IMAGE_SIZE}")
    if turned and not isinstance(size, int):
        raise Problem(f"says {show_size(size)} pixels, and not which is the height: state it with "
                      "--image-size HEIGHT,WIDTH")  # fmt: skip
    return size


def _sides(value: dict[Any, Any]) -> list[Any]:
    if "height" in value and "width" in value:
        return [value["height"], value["width"]]
    return [value[key] for key in ("shortest_edge",) if key in value]


def read_channels(value: Any, in_channels: int) -> tuple[float, float, float] | None:
    """Read three numbers, from one or three channels; None where the value means something else."""
    value = plain_value(value)
    if isinstance(value, str):
        value = re.split(r"[\s,;\[\]()]+", value.strip("[]() "))
    if isinstance(value, dict):
        value = _by_colour(value)
    numbers = list(value) if isinstance(value, list | tuple) else [value]
    numbers = [read_number(one) for one in numbers[:5]]
    if len(numbers) not in (1, 3, in_channels) or any(one is None for one in numbers):
        return None
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3:
        return None
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _by_colour(value: dict[Any, Any]) -> list[Any] | None:
    """The values of {"r": ..., "g": ..., "b": ...} in that order."""
    named = {str(key).lower()[:1]: one for key, one in value.items()}
    return [named[one] for one in "rgb"] if len(value) == 3 and {*named} == {*"rgb"} else None


def read_number(value: Any) -> float | None:
    """Read a finite number, or the text of one."""
    value = plain_value(value)
    if isinstance(value, str) and len(value) < 40:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def read_fraction(value: Any) -> float | None:
    """Read a part of an image, above 0 and at most 1; 0.875 may be written as 87.5.

    Raises:
        Problem: The number is not such a part.
    """
    number = read_number(value)
    if number is None or number == 0:  # timm's 0: none stated
        return None
    if 1 < number <= 100:
        number /= 100
    if not 0.01 <= number <= 1:
        raise Problem(f"says {number:g}, and a crop is a part of the image, up to 1")
    return number


def read_interpolation(value: Any) -> Interpolation | None:
    """Pillow's filter by name or number; None where nothing is stated.

    Raises:
        Problem: A filter that is not used here.
    """
    value = plain_value(value)
    if value in (None, "", "random"):  # in training timm draws a random one
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        if value in _PILLOW:
            return _PILLOW[value]
    elif isinstance(value, str):
        word = value.rpartition(".")[2].lower().removeprefix("inter_")
        if word.isdigit():
            return read_interpolation(int(word))
        word = _OPENCV.get(word, word)
        for known in _PILLOW.values():
            if word == known:
                return known
    else:
        return None
    raise Problem(f"says {shorten(repr(value), 40)}, a filter that is not used here")


def read_licence(value: Any) -> str | None:
    """A licence's usual name; None where none is stated."""
    value = plain_value(value)
    if not isinstance(value, str) or not value.strip() or value.lower() in ("other", "unknown"):
        return None
    text = " ".join(value.split())[:80]
    return LICENCES.get(text.lower(), text) if text.isprintable() else None


def crop_pct_of(size: int, resized: int) -> float:
    """The part that cuts `size` out of a side of `resized` pixels, exact after rounding.

    `size / resized` itself may give one pixel less: 224 / (224 / 354) is below 354.
    """
    for digits in range(3, 9):
        part = round(size / resized, digits)
        if int(size / part) == resized == round(size / part):
            return part
    part = size / resized
    while int(size / part) < resized:
        part = math.nextafter(part, 0.0)
    return part

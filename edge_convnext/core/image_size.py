"""The size of a network's images: one number for a square, height and width for a rectangle.

A square is always its one number, also where it was stated as two: so metadata, cache keys, reports
and graphs of squares do not depend on how they were stated. The height comes first wherever two
numbers stand, as in the shapes of tensors, in torchvision's transforms and in timm's settings.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

__all__ = ["ImageSize", "as_size", "even_size", "parse_size", "show_size", "sides_of"]

ImageSize: TypeAlias = int | tuple[int, int]  # pixels: the side of a square, or height and width

_TEXT = re.compile(r"\s*[\[(]?\s*(-?\d{1,9})(?:\s*[,xX]\s*(-?\d{1,9}))?\s*[\])]?\s*")


def sides_of(size: ImageSize) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else size


def even_size(value: Any) -> Any:
    """A square's two equal numbers as one, and a list of two as a tuple; others unchanged."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return value
    return value[0] if value[0] == value[1] else tuple(value)


def show_size(size: ImageSize) -> str:
    """Text for people, without its unit: "224", or "64 x 96", where the height comes first."""
    return str(size) if isinstance(size, int) else f"{size[0]} x {size[1]}"


def as_size(value: Any) -> ImageSize | None:
    """A size as others state one: a number above 0, or a list of two; None for anything else."""
    size = even_size(value)
    sides = size if isinstance(size, tuple) else (size,)
    found: ImageSize | None = size if all(type(one) is int and one > 0 for one in sides) else None
    return found


def parse_size(text: str) -> ImageSize:
    """Read "224", "64,96" or "64x96", the height first.

    Raises:
        ValueError: The text is neither one number nor two.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError("one number for a square, or height,width, such as 224 or 64,96")
    height = int(found[1])
    size: ImageSize = even_size((height, int(found[2] or height)))
    return size

"""The image size that a checkpoint was trained at, by the shapes of its positions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from edge_convnext.core.image_size import sides_of
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.outline import Outline, outline_of

if TYPE_CHECKING:
    from edge_convnext.networks.made.maker import Maker

__all__ = ["fitting_size"]

Shape = tuple[int, ...]
# What images are usually cut to, the frequent ones first.
_USUAL = (224, 256, 384, 64, 96, 128, 160, 192, 32, 112, 176, 208, 240, 288, 320, 336, 448, 512)
_PREFIXES = range(6)  # tokens before those of the patches: of the class, of registers


def fitting_size(
    maker: Maker, num_classes: int, in_channels: int, shapes: Mapping[str, Shape]
) -> int | None:
    """Find a size at which a network has the shapes of a checkpoint; None: the usual one.

    Where none has them, it is None too, and the tensor that differs is told when it is taken.

    Args:
        maker: Maker of the network.
        num_classes: Number of logits of the checkpoint.
        in_channels: Channels of the checkpoint.
        shapes: Shapes of the checkpoint's tensors by the network's names.
    """
    usual = outline_of(maker, num_classes, in_channels)
    if _fits(usual, shapes):
        return None
    for size in dict.fromkeys((*_by_tokens(usual, shapes, sides_of(maker.image_size)[0]), *_USUAL)):
        try:
            outline = outline_of(maker, num_classes, in_channels, size)
        except NotSoError:
            return None  # it has one size, or none
        if outline.shapes == usual.shapes and size != maker.image_size:
            return None  # positions are not what differs
        if _fits(outline, shapes):
            return size
    return None


def _fits(outline: Outline, shapes: Mapping[str, Shape]) -> bool:
    return all(
        _squeezed(shape) == _squeezed(outline.shapes[name])
        for name, shape in shapes.items()
        if name in outline.shapes
    )


def _squeezed(shape: Shape) -> list[int]:
    return [one for one in shape if one != 1]


def _by_tokens(outline: Outline, shapes: Mapping[str, Shape], usual: int) -> Iterator[int]:
    """Sizes by the number of tokens of an embedding of positions, [1, tokens, width]."""
    for name, shape in shapes.items():
        own = outline.shapes.get(name, ())
        if len(own) != 3 or len(shape) != 3 or own[1] == shape[1] or own[2] != shape[2]:
            continue
        for prefix in _PREFIXES:
            grid, theirs = (
                math.isqrt(max(own[1] - prefix, 0)),
                math.isqrt(max(shape[1] - prefix, 0)),
            )
            square = grid**2 == own[1] - prefix and theirs**2 == shape[1] - prefix
            if square and grid and theirs and usual * theirs % grid == 0:
                yield usual * theirs // grid

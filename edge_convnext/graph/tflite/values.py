"""Values while a graph is written: tensors whose axes may lie in another order, and constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Constant", "Grid", "Value", "identity"]


def identity(rank: int) -> tuple[int, ...]:
    """The order of axes as ONNX has them."""
    return tuple(range(rank))


@dataclass(frozen=True)
class Value:
    """What an operator writes.

    ONNX's convolutions have the channels first, LiteRT's have them last. So each value remembers
    where its axes lie, and a Transpose costs nothing: most of them undo each other.
    """

    tensor: int  # of the program
    shape: tuple[int, ...]  # as ONNX has it; of one image
    order: tuple[int, ...]  # ONNX's axis i is axis order[i] of the tensor

    @property
    def lies(self) -> tuple[int, ...]:
        """The shape of the tensor."""
        sizes = [0] * len(self.shape)
        for axis, place in enumerate(self.order):
            sizes[place] = self.shape[axis]
        return tuple(sizes)


@dataclass(frozen=True)
class Grid:
    """Constants as integers: `integers * scales` along one axis."""

    integers: NDArray[np.int8]
    scales: NDArray[np.float32]  # [1], or one for each index of `axis`
    axis: int


@dataclass(frozen=True)
class Constant:
    """A constant, as ONNX has it."""

    array: NDArray[Any]
    grid: Grid | None = None  # of quantized weights

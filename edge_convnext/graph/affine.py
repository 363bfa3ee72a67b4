"""The arithmetic of affine quantization, as QuantizeLinear and DequantizeLinear do it.

Source: ONNX operators, QuantizeLinear: round half to even, then saturate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TINY", "WEIGHT_MAX", "Grid", "GridType", "make_grid", "round_weight"]

GridType: TypeAlias = Literal["int8", "uint8"]  # symmetric; affine with a zero point

WEIGHT_MAX = 127  # symmetric: -128 is not used
TINY = 1e-12  # smallest scale: that of a tensor that is zero throughout


@dataclass(frozen=True)
class Grid:
    """The 256 numbers that the values of an activation tensor are rounded to."""

    scale: float
    zero_point: int
    kind: GridType

    def round(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Quantize and dequantize."""
        low, high = (-128, 127) if self.kind == "int8" else (0, 255)
        steps: NDArray[np.float32] = values / np.float32(self.scale)
        np.rint(steps, out=steps)
        steps += np.float32(self.zero_point)
        np.clip(steps, low, high, out=steps)
        steps -= np.float32(self.zero_point)
        steps *= np.float32(self.scale)
        return steps


def make_grid(low: float, high: float, kind: GridType) -> Grid:
    """The grid that spans a range: symmetric with zero point 0 for int8, affine for uint8."""
    if kind == "int8":
        return Grid(max(-low, high, TINY) / 127, 0, kind)
    low, high = min(low, 0.0), max(high, 0.0)  # zero has to be on the grid
    scale = max(high - low, TINY) / 255
    return Grid(scale, int(np.clip(round(-low / scale), 0, 255)), kind)


def round_weight(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Quantize and dequantize a weight [inputs, outputs], one scale per output."""
    scale = np.maximum(np.abs(weight).max(axis=0), TINY) / WEIGHT_MAX
    rounded: NDArray[np.float32] = np.rint(weight / scale) * scale
    return rounded

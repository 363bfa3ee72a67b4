"""Weights: quantizers of constants, and what products read of them.

With INT8 weights LiteRT takes the ranges of the activations from the values of each inference
("dynamic range"): of each row for FULLY_CONNECTED, of each image for CONV_2D. XNNPACK runs these in
INT8. It has no such depthwise convolution, so that depthwise weights are written in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.graph.tflite.values import Constant, Grid, Value
from edge_convnext.graph.tflite.writing import attributes, refuse

if TYPE_CHECKING:
    from onnx import NodeProto

    from edge_convnext.graph.tflite.writing import Writing

__all__ = [
    "as_filters", "as_float", "as_matrix", "as_rows", "bias_of", "version_of", "write_dequantize",
    "write_quantize",
]  # fmt: skip

# Versions of the operators that know a scale for each channel beside float activations.
_DYNAMIC = {"FULLY_CONNECTED": 12, "CONV_2D": 8}
_WIDE = 5  # of FULLY_CONNECTED, with `keepNumDims`


def write_quantize(writing: Writing, node: NodeProto) -> None:
    """Pass activations on, whose range each inference tells; round constants to integers."""
    source = writing.values[node.input[0]]
    if isinstance(source, Value):
        writing.store(node, source)
        return
    scales, zeros = _grid_of(writing, node)
    axis = attributes(node).get("axis", 1) if scales.size > 1 else 0
    wide = _along(scales, axis, source.array.ndim)
    integers = np.clip(np.rint(source.array / wide) + _along(zeros, axis, source.array.ndim),
                       -128, 127)  # fmt: skip
    writing.store(node, Constant(integers.astype(np.int8)))


def write_dequantize(writing: Writing, node: NodeProto) -> None:
    """Pass activations on; keep the integers of weights.

    Raises:
        ExportError: The weights are not int8 around zero.
    """
    source = writing.values[node.input[0]]
    if isinstance(source, Value):
        writing.store(node, source)
        return
    scales, zeros = _grid_of(writing, node)
    axis = attributes(node).get("axis", 1) if scales.size > 1 else 0
    ndim = source.array.ndim
    wide, shifts = _along(scales, axis, ndim), _along(zeros, axis, ndim)
    array = ((source.array.astype(np.float32) - shifts) * wide).astype(np.float32)
    if source.array.dtype != np.int8 or zeros.any():
        writing.store(node, Constant(array))  # such as a bias in 32 bits
        return
    writing.store(node, Constant(array, Grid(source.array, np.ravel(scales), axis % max(ndim, 1))))


def _grid_of(writing: Writing, node: NodeProto) -> tuple[Any, Any]:
    """Scales and zero points of a quantizer of constants, float32."""
    scale = writing.constant(node.input[1])
    zero = writing.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if scale is None:
        raise refuse(node, "its scale is computed")
    scales = np.asarray(scale.array, np.float32)
    zeros = np.zeros_like(scales) if zero is None else np.asarray(zero.array, np.float32)
    return scales, zeros


def _along(numbers: Any, axis: int, ndim: int) -> Any:
    """One number, or one for each index of an axis, to be combined with all values."""
    if numbers.size == 1:
        return numbers.reshape(())
    shape = [1] * ndim
    shape[axis] = numbers.size
    return numbers.reshape(shape)


def version_of(operator: str, *, dynamic: bool) -> int:
    """The version of a product's operator, with INT8 weights or float ones."""
    if dynamic:
        return _DYNAMIC[operator]
    return _WIDE if operator == "FULLY_CONNECTED" else 1


def as_rows(
    writing: Writing, node: NodeProto, weights: Constant, axis: int, ndim: int
) -> tuple[int, bool]:
    """Weights with the outputs first; and whether they are INT8."""
    moves = (axis, *(at for at in range(ndim) if at != axis))
    return _write_moved(writing, node, weights, moves)


def as_float(array: Any) -> Any:
    """An array as float32, row after row."""
    return np.ascontiguousarray(array, np.float32)


def bias_of(writing: Writing, node: NodeProto, bias: Any) -> int:
    """The tensor of a bias; -1 without one."""
    return -1 if bias is None else writing.program.constant(f"{node.name}/bias", as_float(bias))


def as_matrix(weights: Constant) -> Constant:
    """Weights of a 1x1 convolution as a matrix, outputs first."""
    rows = weights.array.shape[0]
    grid = weights.grid
    if grid is not None:
        if grid.scales.size > 1 and grid.axis != 0:
            grid = None
        else:
            grid = Grid(grid.integers.reshape(rows, -1), grid.scales, 0)
    return Constant(weights.array.reshape(rows, -1), grid)


def as_filters(writing: Writing, node: NodeProto, weights: Constant) -> tuple[int, bool]:
    """Weights of a convolution as LiteRT has them, [O, H, W, I]; and whether they are INT8."""
    return _write_moved(writing, node, weights, (0, 2, 3, 1))


def _write_moved(
    writing: Writing, node: NodeProto, weights: Constant, moves: tuple[int, ...]
) -> tuple[int, bool]:
    """Weights with their axes in the order of `moves`, that of the outputs first."""
    name, grid, axis = f"{node.name}/weight", weights.grid, moves[0]
    if grid is None or (grid.scales.size > 1 and grid.axis != axis):
        return writing.program.constant(name, as_float(weights.array.transpose(moves))), False
    scales = np.resize(grid.scales, weights.array.shape[axis])
    return writing.program.constant(name, grid.integers.transpose(moves), scales), True

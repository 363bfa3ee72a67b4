"""Products: convolutions and matrix products, with float weights or INT8 ones.

With INT8 weights LiteRT takes the ranges of the activations from the values of each inference
("dynamic range"): of each row for FULLY_CONNECTED, of each image for CONV_2D. XNNPACK runs these in
INT8. It has no such depthwise convolution, so that depthwise weights are written in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.graph.tflite.operations.moves import pad
from edge_convnext.graph.tflite.operations.reductions import FIRST_LAST, window
from edge_convnext.graph.tflite.values import Constant, Grid, Value, identity
from edge_convnext.graph.tflite.writing import attributes, refuse

if TYPE_CHECKING:
    from onnx import NodeProto

    from edge_convnext.graph.tflite.writing import Writing

__all__ = [
    "split_rows", "write_conv", "write_dequantize", "write_gemm", "write_matmul", "write_quantize",
]  # fmt: skip

# Versions of the operators that know a scale for each channel beside float activations.
_DYNAMIC = {"FULLY_CONNECTED": 12, "CONV_2D": 8}
_MOST_TAPS = 25  # values of the largest window that XNNPACK has a depthwise kernel for
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


def write_matmul(writing: Writing, node: NodeProto) -> None:
    """Write a product with constant weights as FULLY_CONNECTED, with the bias behind it.

    One of two computed values is BATCH_MATMUL.
    """
    weights = writing.constant(node.input[1])
    if weights is None:
        _write_batch_product(writing, node)
        return
    if weights.array.ndim != 2 or writing.constant(node.input[0]) is not None:
        raise refuse(node, f"its weights have {weights.array.ndim} axes")
    bias, last = _bias_behind(writing, node, weights.array.shape[1])
    _write_rows(writing, node, last, writing.value(node), weights, bias, axis=1)


def write_gemm(writing: Writing, node: NodeProto) -> None:
    """Write Gemm as FULLY_CONNECTED."""
    given, weights = attributes(node), writing.constant(node.input[1])
    scaled = given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0
    if weights is None or weights.array.ndim != 2 or given.get("transA", 0) or scaled:
        raise refuse(node, "it is more than a product with constant weights")
    bias = None
    if len(node.input) > 2 and node.input[2]:
        constant = writing.constant(node.input[2])
        if constant is None:
            raise refuse(node, "its bias is computed")
        bias = np.ravel(constant.array)
    axis = 0 if given.get("transB", 0) else 1
    _write_rows(writing, node, node, writing.value(node), weights, bias, axis=axis)


def _write_rows(
    writing: Writing,
    node: NodeProto,
    last: NodeProto,
    value: Value,
    weights: Constant,
    bias: Any,
    *,
    axis: int,
) -> None:
    """Write FULLY_CONNECTED over the last axis.

    Args:
        writing: The translation.
        node: The product.
        last: Node whose output is the result: `node`, or the Add of its bias.
        value: Activations.
        weights: Of two axes.
        bias: float[outputs], or None.
        axis: Axis of the outputs in `weights`.
    """
    rank = len(value.shape)
    order = value.order if value.order[-1] == rank - 1 else identity(rank)
    laid = writing.laid(value, order, node.name)
    matrix, dynamic = _rows(writing, node, weights, axis, weights.array.ndim)
    shape = (*value.shape[:-1], weights.array.shape[axis])
    tensors = (laid.tensor, matrix, _bias(writing, node, bias))
    options = {"keepNumDims": rank > 2, "asymmetricQuantizeInputs": dynamic}
    version = _DYNAMIC["FULLY_CONNECTED"] if dynamic else (_WIDE if rank > 2 else 1)
    made = writing.emit(
        node, "FULLY_CONNECTED", tensors, laid, options, shape=shape, version=version
    )
    writing.store(last, made)


def _rows(
    writing: Writing, node: NodeProto, weights: Constant, axis: int, ndim: int
) -> tuple[int, bool]:
    """Weights with the outputs first; and whether they are INT8."""
    moves = (axis, *(at for at in range(ndim) if at != axis))
    name, grid = f"{node.name}/weight", weights.grid
    if grid is None or (grid.scales.size > 1 and grid.axis != axis):
        return writing.program.constant(name, _float(weights.array.transpose(moves))), False
    scales = np.resize(grid.scales, weights.array.shape[axis])
    return writing.program.constant(name, grid.integers.transpose(moves), scales), True


def _float(array: Any) -> Any:
    return np.ascontiguousarray(array, np.float32)


def _bias(writing: Writing, node: NodeProto, bias: Any) -> int:
    return -1 if bias is None else writing.program.constant(f"{node.name}/bias", _float(bias))


def _bias_behind(writing: Writing, node: NodeProto, outputs: int) -> tuple[Any, NodeProto]:
    """The bias that an Add behind a product adds, and that Add; None and the product without."""
    reader = writing.only_reader(node.output[0])
    if reader is None or reader.op_type != "Add":
        return None, node
    other = next(name for name in reader.input if name != node.output[0])
    constant = writing.constant(other)
    if constant is None or constant.array.size != outputs or constant.array.shape[-1] != outputs:
        return None, node
    if constant.array.ndim > len(writing.shapes[node.output[0]]):
        return None, node
    writing.done.add(reader.output[0])
    return np.ravel(constant.array), reader


def _write_batch_product(writing: Writing, node: NodeProto) -> None:
    left, right = writing.value(node, 0), writing.value(node, 1)
    laid = [
        writing.laid(one, identity(len(one.shape)), f"{node.name}/{at}")
        for at, one in enumerate((left, right))
    ]
    shape = writing.shapes.get(node.output[0])
    if shape is None or len(left.shape) != len(right.shape):
        raise refuse(node, "its two inputs have different numbers of axes")
    tensors = [one.tensor for one in laid]
    writing.store(node, writing.emit(node, "BATCH_MATMUL", tensors, laid[0], shape=shape))


def write_conv(writing: Writing, node: NodeProto) -> None:
    """Write a convolution of [N, C, H, W]; a 1x1 one as FULLY_CONNECTED."""
    value, weights, given = writing.value(node), writing.constant(node.input[1]), attributes(node)
    if weights is None or weights.array.ndim != 4:
        raise refuse(node, "its weights are computed, or it is not of height and width")
    if writing.shapes.get(node.output[0]) is None:
        raise refuse(node, "the size of its result is not known")
    constant = writing.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    outputs, inside, *sizes = weights.array.shape
    bias = np.zeros(outputs, np.float32) if constant is None else np.ravel(constant.array)
    groups, strides = given.get("group", 1), list(given.get("strides", [1, 1]))
    laid = writing.laid(value, FIRST_LAST, node.name)
    padding, before = window(node, given, value.shape[2:], sizes)
    if before is not None:
        laid = pad(writing, node, laid, before, "/padded")
    gaps = given.get("dilations", [1, 1])
    options: dict[str, Any] = {
        "padding": writing.program.choice("Padding", padding),
        "strideH": strides[0], "strideW": strides[1],
        "dilationHFactor": gaps[0], "dilationWFactor": gaps[1],
    }  # fmt: skip
    if groups == 1 and sizes == [1, 1] and strides == [1, 1]:
        matrix, dynamic = _rows(writing, node, _flat(weights), 0, 2)
        options = {"keepNumDims": True, "asymmetricQuantizeInputs": dynamic}
        made = _write_window(writing, node, "FULLY_CONNECTED", laid, matrix, bias, options, dynamic)
    elif groups == 1:
        matrix, dynamic = _rows_last(writing, node, weights)
        made = _write_window(writing, node, "CONV_2D", laid, matrix, bias, options, dynamic)
    elif inside == 1 and groups == value.shape[1]:
        options["depthMultiplier"] = outputs // groups
        whole = padding == "SAME" and [*strides, *gaps] == [1, 1, 1, 1]
        made = _write_depthwise(writing, node, laid, weights.array, bias, options, whole=whole)
    else:
        raise refuse(node, f"it has {groups} groups")
    writing.store(node, made)


def _write_window(
    writing: Writing,
    node: NodeProto,
    operator: str,
    value: Value,
    matrix: int,
    bias: Any,
    options: dict[str, Any],
    dynamic: bool,
) -> Value:
    version = _DYNAMIC[operator] if dynamic else (_WIDE if operator == "FULLY_CONNECTED" else 1)
    tensors = (value.tensor, matrix, _bias(writing, node, bias))
    shape = writing.shapes[node.output[0]]
    return writing.emit(node, operator, tensors, value, options, shape=shape, version=version)


def _write_depthwise(
    writing: Writing,
    node: NodeProto,
    value: Value,
    array: Any,
    bias: Any,
    options: dict[str, Any],
    *,
    whole: bool,
) -> Value:
    """Write a depthwise convolution; a large one as a sum of several with fewer rows.

    XNNPACK has kernels for windows of up to 25 values. A larger one took eight times as long as the
    sum of three parts does: 1.78 ms for 0.21 of [56, 56, 40] and a 7x7 window, on two threads. The
    rows of each part lie evenly about the middle, so that dilation and SAME padding say it all.

    Args:
        writing: The translation.
        node: The convolution.
        value: Its input, with the channels last.
        array: Weights as ONNX has them, [outputs, 1, height, width].
        bias: float[outputs].
        options: Options of the operator.
        whole: True if it keeps the size and has neither strides nor dilations.
    """
    filters, shape = array.transpose(1, 2, 3, 0), writing.shapes[node.output[0]]
    parts = split_rows(*array.shape[2:]) if whole else [tuple(range(array.shape[2]))]
    made = []
    for at, rows in enumerate(parts):
        gap = rows[1] - rows[0] if len(rows) > 1 and len(parts) > 1 else options["dilationHFactor"]
        ending = "" if len(parts) == 1 else f"/part{at}"
        matrix = writing.program.constant(
            f"{node.name}{ending}/weight", _float(filters[:, list(rows)])
        )
        own = bias if at == 0 else np.zeros_like(bias)
        tensors = (value.tensor, matrix, _bias(writing, node, own))
        made.append(
            writing.emit(
                node, "DEPTHWISE_CONV_2D", tensors, value, {**options, "dilationHFactor": gap},
                shape=shape, ending=ending, version=2 if gap > 1 else 1,
            )
        )  # fmt: skip
    total = made[0]
    for at, part in enumerate(made[1:], 1):
        ending = "" if at == len(made) - 1 else f"/sum{at}"
        total = writing.emit(node, "ADD", (total.tensor, part.tensor), total, ending=ending)
    return total


def split_rows(height: int, width: int) -> list[tuple[int, ...]]:
    """Rows of a window in parts of at most 25 values, each evenly about the middle.

    Args:
        height: Rows of the window.
        width: Columns of the window.

    Returns:
        One part where the window is small, or its rows have no middle or too many columns.
    """
    whole = [tuple(range(height))]
    most = _MOST_TAPS // width
    if height * width <= _MOST_TAPS or height % 2 == 0 or most < 2:
        return whole
    middle = height // 2
    pairs = [(at, height - 1 - at) for at in range(middle)]
    if most < 3:
        return [(middle,), *pairs]
    # The middle goes to the pair two rows away: of a 7x7 window the fastest of three ways.
    at = max(0, middle - 2)
    return [(at, middle, height - 1 - at), *(pair for pair in pairs if pair[0] != at)]


def _flat(weights: Constant) -> Constant:
    """Weights of a 1x1 convolution as a matrix, outputs first."""
    rows = weights.array.shape[0]
    grid = weights.grid
    if grid is not None:
        if grid.scales.size > 1 and grid.axis != 0:
            grid = None
        else:
            grid = Grid(grid.integers.reshape(rows, -1), grid.scales, 0)
    return Constant(weights.array.reshape(rows, -1), grid)


def _rows_last(writing: Writing, node: NodeProto, weights: Constant) -> tuple[int, bool]:
    """Weights of a convolution as LiteRT has them, [O, H, W, I]; and whether they are INT8."""
    moves, name, grid = (0, 2, 3, 1), f"{node.name}/weight", weights.grid
    if grid is None or (grid.scales.size > 1 and grid.axis != 0):
        return writing.program.constant(name, _float(weights.array.transpose(moves))), False
    scales = np.resize(grid.scales, weights.array.shape[0])
    return writing.program.constant(name, grid.integers.transpose(moves), scales), True

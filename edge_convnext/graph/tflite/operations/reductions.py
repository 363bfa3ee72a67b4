"""Reductions, norms and pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.graph.tflite.operations.windows import FIRST_LAST, pad, window
from edge_convnext.graph.tflite.values import Value, identity
from edge_convnext.graph.tflite.writing import attributes, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import NodeProto

    from edge_convnext.graph.tflite.writing import Writing

__all__ = [
    "REDUCTIONS", "write_batch_norm", "write_global_pool", "write_l2",
    "write_layer_norm", "write_pool", "write_reduction", "write_softmax",
]  # fmt: skip

REDUCTIONS: Mapping[str, str] = {
    "ReduceMax": "REDUCE_MAX",
    "ReduceMean": "MEAN",
    "ReduceMin": "REDUCE_MIN",
    "ReduceSum": "SUM",
}


def write_reduction(writing: Writing, node: NodeProto) -> None:
    """Write a reduction over some axes."""
    value = writing.value(node)
    writing.store(node, _reduce(writing, node, value, REDUCTIONS[node.op_type]))


def write_l2(writing: Writing, node: NodeProto) -> None:
    """Write ReduceL2 as the root of a sum of squares, or ReduceSumSquare without the root."""
    value = writing.value(node)
    squares = writing.emit(node, "MUL", (value.tensor, value.tensor), value, ending="/squares")
    summed = _reduce(writing, node, squares, "SUM", "/sum")
    if node.op_type == "ReduceL2":
        summed = writing.emit(node, "SQRT", (summed.tensor,), summed)
    writing.store(node, summed)


def _reduce(
    writing: Writing, node: NodeProto, value: Value, operator: str, ending: str = ""
) -> Value:
    given = attributes(node)
    axes = given.get("axes")
    if axes is None and len(node.input) > 1 and node.input[1]:
        constant = writing.constant(node.input[1])
        if constant is None:
            raise refuse(node, "its axes are computed")
        axes = np.ravel(constant.array).tolist()
    rank = len(value.shape)
    whole = sorted({axis % rank for axis in (range(rank) if axes is None else axes)})
    kept = bool(given.get("keepdims", 1))
    return reduce(writing, node, value, operator, whole, kept=kept, ending=ending)


def reduce(
    writing: Writing,
    node: NodeProto,
    value: Value,
    operator: str,
    axes: Sequence[int],
    *,
    kept: bool,
    ending: str = "",
) -> Value:
    """Write a reduction over ONNX's axes; those that are not kept are gone."""
    places = writing.numbers(f"{node.name}{ending}/axes", sorted(value.order[a] for a in axes))
    options = {"keepDims": kept}
    if kept:
        shape = [1 if at in axes else size for at, size in enumerate(value.shape)]
        return writing.emit(
            node, operator, (value.tensor, places), value, options, shape=shape, ending=ending
        )
    left = [at for at in range(len(value.shape)) if at not in axes]
    ranks = sorted(value.order[at] for at in left)
    order = tuple(ranks.index(value.order[at]) for at in left)
    like = Value(-1, tuple(value.shape[at] for at in left), order)
    return writing.emit(node, operator, (value.tensor, places), like, options, ending=ending)


def write_layer_norm(writing: Writing, node: NodeProto) -> None:
    """Write LayerNormalization over the last axis in elementwise operators."""
    value, given = writing.value(node), attributes(node)
    last = len(value.shape) - 1
    if given.get("axis", -1) not in (-1, last):
        raise refuse(node, "it is over more than the last axis")
    name, axes = node.name, [last]
    mean = reduce(writing, node, value, "MEAN", axes, kept=True, ending="/mean")
    centred = writing.emit(node, "SUB", (value.tensor, mean.tensor), value, ending="/centred")
    squares = writing.emit(node, "MUL", (centred.tensor, centred.tensor), value, ending="/squares")
    variance = reduce(writing, node, squares, "MEAN", axes, kept=True, ending="/variance")
    least = writing.floats(
        f"{name}/epsilon", np.array(given.get("epsilon", 1e-5), np.float32), variance
    )
    safe = writing.emit(node, "ADD", (variance.tensor, least), variance, ending="/safe")
    factor = writing.emit(node, "RSQRT", (safe.tensor,), variance, ending="/factor")
    made = writing.emit(node, "MUL", (centred.tensor, factor.tensor), value)
    for at, operator, idle in ((1, "MUL", 1.0), (2, "ADD", 0.0)):
        constant = writing.constant(node.input[at]) if at < len(node.input) else None
        if constant is None and at < len(node.input) and node.input[at]:
            raise refuse(node, "its scale is computed")
        if constant is not None and (constant.array != idle).any():
            tensor = writing.floats(f"{name}/{operator}", constant.array, made)
            made = writing.emit(node, operator, (made.tensor, tensor), made, ending=f"/{at}")
    writing.store(node, made)


def write_batch_norm(writing: Writing, node: NodeProto) -> None:
    """Write BatchNormalization as a factor and a summand for each channel."""
    value = writing.value(node)
    found = [writing.constant(name) for name in node.input[1:5]]
    if any(one is None for one in found):
        raise refuse(node, "its statistics are computed")
    scale, bias, mean, variance = (np.asarray(one.array, np.float64) for one in found if one)
    factor = scale / np.sqrt(variance + attributes(node).get("epsilon", 1e-5))
    shape = (-1, *(1,) * (len(value.shape) - 2))
    for operator, array in (("MUL", factor), ("ADD", bias - mean * factor)):
        tensor = writing.floats(f"{node.name}/{operator}", array.reshape(shape), value)
        value = writing.emit(
            node, operator, (value.tensor, tensor), value, ending=f"/{operator.lower()}"
        )
    writing.store(node, value)


def write_softmax(writing: Writing, node: NodeProto) -> None:
    """Write Softmax over the last axis."""
    value = writing.value(node)
    last = len(value.shape) - 1
    if attributes(node).get("axis", -1) not in (-1, last):
        raise refuse(node, "it is not over the last axis")
    laid = writing.laid(value, identity(last + 1), node.name)
    writing.store(node, writing.emit(node, "SOFTMAX", (laid.tensor,), laid, {"beta": 1.0}))


def write_global_pool(writing: Writing, node: NodeProto) -> None:
    """Write GlobalAveragePool or GlobalMaxPool as a reduction over the positions."""
    value = writing.value(node)
    operator = "MEAN" if node.op_type == "GlobalAveragePool" else "REDUCE_MAX"
    axes = range(2, len(value.shape))
    writing.store(node, reduce(writing, node, value, operator, axes, kept=True))


def write_pool(writing: Writing, node: NodeProto) -> None:
    """Write AveragePool or MaxPool of [N, C, H, W]."""
    value, given = writing.value(node), attributes(node)
    if len(value.shape) != 4 or len(node.output) != 1:
        raise refuse(node, "it is not of [N, C, H, W] alone")
    laid = writing.laid(value, FIRST_LAST, node.name)
    sizes = list(given["kernel_shape"])
    padding, before = window(node, given, laid.shape[2:], sizes)
    if before is not None:
        if node.op_type == "MaxPool" or not given.get("count_include_pad", 0):
            raise refuse(node, "it pads the window unevenly")
        laid = pad(writing, node, laid, before, "/padded")
    strides = given.get("strides", [1, 1])
    options = {
        "padding": writing.program.choice("Padding", padding),
        "strideH": strides[0], "strideW": strides[1],
        "filterHeight": sizes[0], "filterWidth": sizes[1],
    }  # fmt: skip
    if padding == "SAME" and node.op_type == "AveragePool" and given.get("count_include_pad", 0):
        raise refuse(node, "it counts what it pads")
    operator = "AVERAGE_POOL_2D" if node.op_type == "AveragePool" else "MAX_POOL_2D"
    shape = writing.shapes[node.output[0]]
    made = writing.emit(node, operator, (laid.tensor,), laid, options, shape=shape)
    writing.store(node, made)

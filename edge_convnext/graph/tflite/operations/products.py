"""Matrix products, with float weights or INT8 ones (`weights`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.graph.tflite.operations.weights import as_rows, bias_of, version_of
from edge_convnext.graph.tflite.values import Constant, Value, identity
from edge_convnext.graph.tflite.writing import attributes, refuse

if TYPE_CHECKING:
    from onnx import NodeProto

    from edge_convnext.graph.tflite.writing import Writing

__all__ = ["write_gemm", "write_matmul"]


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
        weights: Constant of two axes.
        bias: float[outputs], or None.
        axis: Axis of the outputs in `weights`.
    """
    rank = len(value.shape)
    order = value.order if value.order[-1] == rank - 1 else identity(rank)
    laid = writing.laid(value, order, node.name)
    matrix, dynamic = as_rows(writing, node, weights, axis, weights.array.ndim)
    shape = (*value.shape[:-1], weights.array.shape[axis])
    tensors = (laid.tensor, matrix, bias_of(writing, node, bias))
    options = {"keepNumDims": rank > 2, "asymmetricQuantizeInputs": dynamic}
    version = version_of("FULLY_CONNECTED", dynamic=dynamic)
    made = writing.emit(
        node, "FULLY_CONNECTED", tensors, laid, options, shape=shape, version=version
    )
    writing.store(last, made)


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

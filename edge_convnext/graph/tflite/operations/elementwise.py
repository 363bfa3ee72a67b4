"""Operations that compute each element by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.graph.tflite.values import Constant, Value, identity
from edge_convnext.graph.tflite.writing import attributes, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from onnx import NodeProto

    from edge_convnext.graph.tflite.writing import Writing

__all__ = ["BINARY", "UNARY", "combine", "write_binary", "write_clip", "write_gelu", "write_pow",
           "write_reciprocal", "write_unary", "write_with_slope"]  # fmt: skip

UNARY: Mapping[str, str] = {
    "Abs": "ABS",
    "Exp": "EXP",
    "HardSwish": "HARD_SWISH",
    "Neg": "NEG",
    "Relu": "RELU",
    "Sigmoid": "LOGISTIC",
    "Sqrt": "SQRT",
    "Tanh": "TANH",
}
BINARY: Mapping[str, str] = {
    "Add": "ADD",
    "Div": "DIV",
    "Max": "MAXIMUM",
    "Min": "MINIMUM",
    "Mul": "MUL",
    "Sub": "SUB",
}
_FOLDED: Mapping[str, Callable[[Any, Any], NDArray[Any]]] = {
    "Add": np.add,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Sub": np.subtract,
}


def write_unary(writing: Writing, node: NodeProto) -> None:
    """Write an operation of one input."""
    value = writing.value(node)
    writing.store(node, writing.emit(node, UNARY[node.op_type], (value.tensor,), value))


def write_binary(writing: Writing, node: NodeProto) -> None:
    """Write an operation of two inputs that broadcast."""
    if len(node.input) != 2:
        raise refuse(node, f"it has {len(node.input)} inputs")
    constants = [writing.constant(name) for name in node.input]
    if constants[0] is not None and constants[1] is not None:
        folded = _FOLDED[node.op_type](constants[0].array, constants[1].array)
        writing.store(node, Constant(folded))
        return
    writing.store(node, combine(writing, node, BINARY[node.op_type]))


def combine(writing: Writing, node: NodeProto, operator: str) -> Value:
    """Write an operator of two inputs, and return its result."""
    constants = [writing.constant(name) for name in node.input[:2]]
    at = next((place for place, one in enumerate(constants) if one is not None), None)
    name = node.name or node.op_type
    if at is not None:
        constant, value = constants[at], writing.value(node, 1 - at)
        assert constant is not None
        if constant.array.ndim > len(value.shape):
            value = _widened(writing, value, constant.array.ndim, name)
        shape = np.broadcast_shapes(value.shape, constant.array.shape)
        tensors = [value.tensor, value.tensor]
        tensors[at] = writing.floats(f"{name}/constant", constant.array, value)
        return writing.emit(node, operator, tensors, value, shape=shape)
    left, right = writing.value(node, 0), writing.value(node, 1)
    rank = max(len(left.shape), len(right.shape))
    left, right = (
        one if len(one.shape) == rank else _widened(writing, one, rank, name)
        for one in (left, right)
    )
    # The larger one stays as it lies.
    if np.prod(left.shape) >= np.prod(right.shape):
        right = writing.laid(right, left.order, f"{name}/1")
    else:
        left = writing.laid(left, right.order, f"{name}/0")
    shape = np.broadcast_shapes(left.shape, right.shape)
    return writing.emit(node, operator, (left.tensor, right.tensor), left, shape=shape)


def _widened(writing: Writing, value: Value, rank: int, name: str) -> Value:
    """The value with axes of one index in front."""
    laid = writing.laid(value, identity(len(value.shape)), name)
    shape = (1,) * (rank - len(value.shape)) + value.shape
    tensor = writing.reshape(laid.tensor, laid.shape, shape, f"{name}/widened")
    return Value(tensor, shape, identity(rank))


def write_gelu(writing: Writing, node: NodeProto) -> None:
    """Write GELU, exact or by tanh."""
    approximate = attributes(node).get("approximate", b"none") == b"tanh"
    value = writing.value(node)
    options = {"approximate": approximate}
    writing.store(node, writing.emit(node, "GELU", (value.tensor,), value, options))


def write_reciprocal(writing: Writing, node: NodeProto) -> None:
    """Write 1/x; of a square root it is RSQRT."""
    value = writing.value(node)
    one = writing.floats(f"{node.name}/one", np.ones(1, np.float32), value)
    writing.store(node, writing.emit(node, "DIV", (one, value.tensor), value))


def write_pow(writing: Writing, node: NodeProto) -> None:
    """Write a power whose exponent is 2 or one half.

    Raises:
        ExportError: It is another one.
    """
    exponent = writing.constant(node.input[1])
    value = writing.value(node)
    power = None if exponent is None or exponent.array.size != 1 else float(exponent.array.item())
    if power == 2.0:
        writing.store(node, writing.emit(node, "MUL", (value.tensor, value.tensor), value))
    elif power == 0.5:
        writing.store(node, writing.emit(node, "SQRT", (value.tensor,), value))
    else:
        raise refuse(node, "its exponent is neither 2 nor 0.5")


def write_clip(writing: Writing, node: NodeProto) -> None:
    """Write Clip: RELU or RELU6 where it is one, else a maximum and a minimum."""
    value = writing.value(node)
    bounds = [_bound(writing, node, at) for at in (1, 2)]
    low, high = bounds
    if low == 0.0 and high in (None, 6.0):
        operator = "RELU" if high is None else "RELU6"
        writing.store(node, writing.emit(node, operator, (value.tensor,), value))
        return
    for operator, bound in (("MAXIMUM", low), ("MINIMUM", high)):
        if bound is not None:
            limit = writing.floats(f"{node.name}/{operator}", np.array(bound, np.float32), value)
            value = writing.emit(
                node, operator, (value.tensor, limit), value, ending=f"/{operator.lower()}"
            )
    writing.store(node, value)


def _bound(writing: Writing, node: NodeProto, at: int) -> float | None:
    if at >= len(node.input) or not node.input[at]:
        return None
    constant = writing.constant(node.input[at])
    if constant is None:
        raise refuse(node, "its bounds are computed")
    return float(constant.array.item())


def write_with_slope(writing: Writing, node: NodeProto) -> None:
    """Write LeakyRelu, or Elu of slope 1."""
    value, given = writing.value(node), attributes(node)
    if node.op_type == "Elu":
        if given.get("alpha", 1.0) != 1.0:
            raise refuse(node, "its alpha is not 1")
        writing.store(node, writing.emit(node, "ELU", (value.tensor,), value))
        return
    options = {"alpha": float(given.get("alpha", 0.01))}
    writing.store(node, writing.emit(node, "LEAKY_RELU", (value.tensor,), value, options))

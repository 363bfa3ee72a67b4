"""Groups of operations that compute one value from one other, and what they compute."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_convnext.graph.foreign.index import Index, attribute_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray
    from onnx import NodeProto

__all__ = ["ELEMENTWISE", "Group", "Shapes", "erf", "find_groups", "sigmoid"]

_Array: TypeAlias = "NDArray[np.float64]"
Shapes: TypeAlias = "Mapping[str, tuple[int | None, ...]]"

_MOST_OPERATIONS = 14  # of one group


def erf(x: _Array) -> _Array:
    """The error function."""
    values: _Array = np.vectorize(math.erf)(x).astype(np.float64)
    return values


def sigmoid(x: _Array) -> _Array:
    """1 / (1 + exp(-x))."""
    values: _Array = 1 / (1 + np.exp(-x))
    return values


def _clip(node: NodeProto, x: _Array, rest: list[_Array | None]) -> _Array:
    low, high = (*rest, None, None)[:2]
    least = attribute_of(node, "min", -np.inf) if low is None else low
    most = attribute_of(node, "max", np.inf) if high is None else high
    clipped: _Array = np.minimum(np.maximum(x, least), most)
    return clipped


def _hard_sigmoid(node: NodeProto, x: _Array, rest: list[_Array]) -> _Array:
    alpha, beta = attribute_of(node, "alpha", 0.2), attribute_of(node, "beta", 0.5)
    bent: _Array = np.clip(alpha * x + beta, 0, 1)
    return bent


def _mean(node: NodeProto, x: _Array, rest: list[_Array]) -> _Array:
    means: _Array = x.mean(axis=-1, keepdims=True)
    return means


_COMPUTE: dict[str, Callable[[Any, Any, Any], Any]] = {
    "Add": lambda node, x, rest: x + rest[0],
    "Sub": lambda node, x, rest: x - rest[0],
    "Mul": lambda node, x, rest: x * rest[0],
    "Div": lambda node, x, rest: x / rest[0],
    "Pow": lambda node, x, rest: np.power(x, rest[0]),
    "Min": lambda node, x, rest: np.minimum.reduce(np.broadcast_arrays(x, *rest)),
    "Max": lambda node, x, rest: np.maximum.reduce(np.broadcast_arrays(x, *rest)),
    "Neg": lambda node, x, rest: -x,
    "Abs": lambda node, x, rest: np.abs(x),
    "Exp": lambda node, x, rest: np.exp(x),
    "Log": lambda node, x, rest: np.log(x),
    "Sqrt": lambda node, x, rest: np.sqrt(x),
    "Reciprocal": lambda node, x, rest: 1 / x,
    "Erf": lambda node, x, rest: erf(x),
    "Tanh": lambda node, x, rest: np.tanh(x),
    "Sigmoid": lambda node, x, rest: sigmoid(x),
    "Softplus": lambda node, x, rest: np.log1p(np.exp(x)),
    "Relu": lambda node, x, rest: np.maximum(x, 0),
    "HardSigmoid": _hard_sigmoid,
    "Clip": _clip,
    "ReduceMean": _mean,
}
ELEMENTWISE = frozenset(_COMPUTE) - {"ReduceMean"}


@dataclass
class Group:
    """Operations that compute one value from one other."""

    root: str
    nodes: list[NodeProto]  # in the order of the graph

    def compute(self, index: Index, x: _Array) -> _Array:
        """The value, for numbers in place of the root's."""
        values: dict[str, Any] = {self.root: x}
        with np.errstate(all="ignore"):
            for node in self.nodes:
                inputs = [self._value(index, values, name) if name else None for name in node.input]
                values[node.output[0]] = _COMPUTE[node.op_type](node, inputs[0], inputs[1:])
        return np.asarray(values[self.nodes[-1].output[0]], np.float64)

    @staticmethod
    def _value(index: Index, values: Mapping[str, Any], name: str) -> Any:
        if name in values:
            return values[name]
        found = index.constant(name)
        assert found is not None  # a group has one input, and constants
        number = found.astype(np.float64)
        return number.reshape(()) if number.size == 1 else number.reshape(-1)


def find_groups(
    index: Index,
    last: NodeProto,
    order: Mapping[str, int],
    shapes: Shapes,
    with_means: bool,
) -> Iterator[Group]:
    """Every group that ends in an operation and has one input, from small to large."""
    nodes = {last.output[0]: last}
    front = {name for name in last.input if name and not index.is_constant(name)}
    while front and len(nodes) <= _MOST_OPERATIONS:
        if len(front) == 1:
            ordered = sorted(nodes.values(), key=lambda one: order[one.output[0]])
            yield Group(next(iter(front)), ordered)
        latest = max(front, key=lambda name: order.get(name, -1))
        node = index.makers.get(latest)
        if node is None or not _may_join(index, node, shapes, with_means):
            return
        nodes[latest] = node
        front.discard(latest)
        front |= {name for name in node.input if name and not index.is_constant(name)}


def _may_join(index: Index, node: NodeProto, shapes: Shapes, with_means: bool) -> bool:
    if len(node.output) != 1 or node.output[0] in index.outputs:
        return False
    if node.op_type == "ReduceMean":
        return with_means and _over_last(index, node, shapes)
    if node.op_type not in ELEMENTWISE:
        return False
    constants = [name for name in node.input if index.is_constant(name)]
    if with_means:
        return all(_is_row(shapes.get(name, ())) for name in constants)
    return all(index.scalar(name) is not None for name in constants)


def _is_row(shape: tuple[int | None, ...]) -> bool:
    return all(size == 1 for size in shape[:-1])


def _over_last(index: Index, node: NodeProto, shapes: Shapes) -> bool:
    axes = index.constant(node.input[1]) if len(node.input) > 1 else None
    stated = attribute_of(node, "axes", ()) if axes is None else axes.tolist()
    rank = len(shapes.get(node.input[0], ()))
    keeps = attribute_of(node, "keepdims", 1) == 1
    return keeps and rank > 1 and list(stated) in ([-1], [rank - 1])

"""Follow channels through a graph: where a factor on a channel goes, until products take it in.

A channel that is divided by a positive number stays divided by it through whatever moves values,
through Relu, pools, sums over positions weighted by attention, and factors of others. Products
with a constant weight end the way: the weight's rows can be multiplied by the number. Anything
else holds the channel: its factor has to be 1.

No names are read, and no operation is added.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_convnext.graph.qdq import weight_axes
from edge_convnext.graph.structure import PRODUCTS, integers

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto

    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.graph.structure import Structure

__all__ = ["Reader", "Route", "Shift", "follow"]

Ids: TypeAlias = "NDArray[np.int64]"

_MOVES = frozenset(
    {"Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose"}
    | {"Unsqueeze"}
)
# A positive factor passes through them, where all that they look at has the same.
_HOMOGENEOUS = frozenset({"LeakyRelu", "Relu"})
_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})
_REDUCTIONS = frozenset({"ReduceMax", "ReduceMean", "ReduceSum"})


@dataclass(frozen=True)
class Reader:
    """A product that takes the factors into its weight."""

    node: str
    tensor: str  # that it reads
    axis: int  # of the channels there
    weight_axis: int  # of the channels in the weight
    ids: Ids  # [K], by row of the weight: the channel that it multiplies


@dataclass(frozen=True)
class Shift:
    """A constant that is added to the channels, and so has to be divided like them."""

    node: str
    position: int
    ids: Ids  # of the constant's shape: the channel of each number


@dataclass
class Route:
    """All that channels reach."""

    readers: list[Reader] = field(default_factory=list)
    shifts: list[Shift] = field(default_factory=list)
    held: set[int] = field(default_factory=set)  # channels whose factor has to be 1


def follow(seen: Structure, wiring: Wiring, tensor: str, axis: int) -> Route:
    """Follow the channels of a tensor to all who read them.

    Args:
        seen: The graph's structure.
        wiring: The same graph's wiring.
        tensor: Name of the tensor to begin at.
        axis: Axis of its channels.
    """
    route, shape = Route(), seen.shape(tensor)
    if not shape or 0 in shape:
        return route
    at = axis % len(shape)
    ids = np.arange(shape[at]).reshape([-1 if one == at else 1 for one in range(len(shape))])
    carried: dict[str, Ids] = {tensor: np.broadcast_to(ids, shape)}
    ended: set[str] = set()  # nodes that were looked at
    todo = [tensor]
    while todo:
        name = todo.pop()
        if name in seen.logits:
            route.held.update(np.unique(carried[name]).tolist())
        for node in seen.readers.get(name, ()):
            if node.output[0] in ended:  # both factors of a product carry channels
                route.held.update(np.unique(carried[name]).tolist())
                continue
            ended.add(node.output[0])
            made = _pass(seen, wiring, node, name, carried[name], route)
            carried.update(made)
            todo += made
    return route


def _pass(
    seen: Structure, wiring: Wiring, node: NodeProto, name: str, ids: Ids, route: Route
) -> dict[str, Ids]:
    """What a node makes of channels; nothing where it takes them in, or holds them."""
    shape, kind = seen.shape(node.output[0]), node.op_type
    if list(node.input).count(name) == 1:
        if kind in PRODUCTS and node.input[0] == name and node.input[1] in wiring.constants:
            reader = _read(wiring, node, name, ids)
            if reader is not None:
                route.readers.append(reader)
                return {}
        elif kind in _MOVES and node.input[0] == name:
            moved = _move(seen, wiring, node, ids)
            if moved is not None:
                return moved
        elif kind in _HOMOGENEOUS or (kind == "Clip" and _is_relu(wiring, node)):
            return {node.output[0]: ids}
        elif (kind in _POOLS or kind in _REDUCTIONS) and shape and 0 not in shape:
            kept = _keep_first(wiring, node, ids, shape)
            if kept is not None:
                return {node.output[0]: kept}
        elif kind in ("Add", "Mul") and shape == ids.shape:
            if kind == "Mul" or _shift(seen, wiring, node, name, ids, route):
                return {node.output[0]: ids}
        elif kind == "MatMul" and _is_weighted(seen, node, name, ids) and shape and 0 not in shape:
            return {node.output[0]: np.broadcast_to(ids[..., :1, :], shape)}
    route.held.update(np.unique(ids).tolist())
    return {}


def _is_weighted(seen: Structure, node: NodeProto, name: str, ids: Ids) -> bool:
    """Whether a product adds up positions, as attention does with the values: no two channels."""
    of_values = node.input[1] == name and node.input[0] not in seen.constants
    return of_values and bool((ids == ids[..., :1, :]).all())


def _is_relu(wiring: Wiring, node: NodeProto) -> bool:
    """Whether a Clip has the lower bound 0, and none above: another bound would be divided too."""
    bounds = [wiring.value(name) if name else None for name in (*node.input[1:3], "")[:2]]
    return bounds[0] is not None and not bounds[0].any() and bounds[1] is None


def _read(wiring: Wiring, node: NodeProto, name: str, ids: Ids) -> Reader | None:
    rank = len(wiring.constants[node.input[1]].dims)
    (groups,) = integers(node, "group", (1,))
    if node.op_type == "Conv":
        axis, weight_axis = 1, 1
        channels = ids.shape[1] if ids.ndim > 1 else 0
        if groups > 1:
            weight_axis = 0
            if groups != channels or wiring.constants[node.input[1]].dims[0] != channels:
                return None  # a group sums channels of its own, or a channel has several outputs
    elif rank != 2 or any(item.name == "transA" and item.i for item in node.attribute):
        return None
    else:
        axis, weight_axis = ids.ndim - 1, weight_axes(node, rank)[1]
    rows = np.moveaxis(ids, axis, 0).reshape(ids.shape[axis], -1)
    if not (rows == rows[:, :1]).all():
        return None
    return Reader(node.name, name, axis - ids.ndim if axis else axis, weight_axis, rows[:, 0])


def _move(seen: Structure, wiring: Wiring, node: NodeProto, ids: Ids) -> dict[str, Ids] | None:
    """Channels behind a node that moves values; None where that can't be told."""
    from onnx.reference import ReferenceEvaluator

    shape = seen.shape(node.output[0])
    if node.op_type == "Reshape" and shape and 0 not in shape:  # its own shape may be computed
        return {node.output[0]: ids.reshape(shape)} if ids.size == np.prod(shape) else None
    feeds: dict[str, Any] = {node.input[0]: ids}
    for name in filter(None, node.input[1:]):
        feeds[name] = wiring.value(name)
        if feeds[name] is None:
            return None
    found: Any = ReferenceEvaluator(node).run(None, feeds)
    return dict(zip(node.output, found, strict=True))


def _keep_first(wiring: Wiring, node: NodeProto, ids: Ids, shape: tuple[int, ...]) -> Ids | None:
    """Channels behind a pool or a reduction over positions; None where it mixes channels."""
    axes: list[int] = list(range(2, ids.ndim))
    if node.op_type in _REDUCTIONS:
        given = wiring.value(node.input[1]) if len(node.input) > 1 else integers(node, "axes")
        if given is None or not len(given):
            return None
        axes = [int(one) % ids.ndim for one in given]
    first: Ids = ids
    for axis in axes:
        first = first.take([0], axis)
        if not (ids == first).all():
            return None
    if node.op_type in _REDUCTIONS and integers(node, "keepdims", (1,)) == (0,):
        return first.squeeze(tuple(axes))
    return np.broadcast_to(first, shape)


def _shift(
    seen: Structure, wiring: Wiring, node: NodeProto, name: str, ids: Ids, route: Route
) -> bool:
    """Whether what is added to the channels is a constant, which is divided like them."""
    position = 1 - list(node.input).index(name)
    value = wiring.value(node.input[position])
    if value is None or node.input[position] not in seen.constants:
        return False
    whole: Ids = np.broadcast_to(ids, np.broadcast_shapes(ids.shape, value.shape))
    padded = (1,) * (whole.ndim - value.ndim) + value.shape
    for axis, size in enumerate(padded):
        if size == 1 and whole.shape[axis] > 1:
            first = whole.take([0], axis)
            if (whole == first).all():
                whole = first
    # A constant of fewer numbers than there are channels is written out for each of them.
    if whole.ndim > value.ndim and set(whole.shape[: whole.ndim - value.ndim]) == {1}:
        whole = whole.reshape(whole.shape[whole.ndim - value.ndim :])
    route.shifts.append(Shift(node.name, position, whole))
    return True

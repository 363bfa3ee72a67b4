"""Operations that a tool wrote out in several are recognised by what they compute.

A group of elementwise operations with one input is tried on numbers, so that the order in which a
tool writes x * clip(x + 3, 0, 6) / 6 does not matter. Layer norms are tried on random rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_convnext.graph.foreign.groups import ELEMENTWISE, Group, Shapes, erf, find_groups, sigmoid
from edge_convnext.graph.foreign.index import Index, drop_unused
from edge_convnext.graph.foreign.rewrite import infer_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

__all__ = ["recognise"]

_Array: TypeAlias = "NDArray[np.float64]"

_POINTS = np.concatenate([np.linspace(-12, 12, 1601), np.linspace(-1, 1, 201)])
_FAR = np.array([-3e4, -80.0, 80.0, 3e4])  # where functions that saturate late part
_CLOSE = 2e-6  # constants of a graph are float32
_ROWS, _EPSILONS = 6, (1e-12, 1e-1)
_LAYER_CLOSE = 1e-4


@dataclass(frozen=True)
class _Known:
    """An operation, or several, and the function that it computes."""

    kind: str
    attributes: Mapping[str, Any]
    compute: Callable[[_Array], _Array]
    fewest: int = 2  # operations that it replaces


def _tanh_gelu(x: _Array) -> _Array:
    bent: _Array = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + bent)


def _hard(x: _Array, slope: float = 1 / 6) -> _Array:
    bent: _Array = np.clip(slope * x + 0.5, 0, 1)
    return bent


_KNOWN = (
    _Known("HardSwish", {}, lambda x: x * _hard(x)),
    _Known("Gelu", {}, lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2)))),
    _Known("Gelu", {"approximate": "tanh"}, _tanh_gelu),
    _Known("SiLU", {}, lambda x: x * sigmoid(x), 3),
    _Known("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, _hard),
    _Known("HardSigmoid", {"alpha": 0.2, "beta": 0.5}, lambda x: _hard(x, 0.2)),
    _Known("Sigmoid", {}, sigmoid),
    _Known("Mish", {}, lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    _Known("Softplus", {}, lambda x: np.log1p(np.exp(x))),
    _Known("Relu", {}, lambda x: np.maximum(x, 0)),
)


def recognise(proto: ModelProto) -> dict[str, int]:
    """Replace written-out operations in place, the largest first.

    Args:
        proto: Graph of opset 20, with the sizes of its input.

    Returns:
        How many of each there were, such as `{"LayerNormalization": 12}`.
    """
    found: dict[str, int] = {}
    for find in (_as_layer_norm, _as_known):
        for kind in _replace(proto, find):
            found[kind] = found.get(kind, 0) + 1
    drop_unused(proto.graph)
    return found


def _replace(
    proto: ModelProto,
    find: Callable[[Index, Group, Shapes], Any],
) -> Iterator[str]:
    """Try each operation as the last of a group, from the graph's end to its beginning."""
    graph = proto.graph
    index, shapes = Index(graph), infer_shapes(proto)
    order = {node.output[0]: at for at, node in enumerate(graph.node) if node.output}
    widest = find is _as_layer_norm
    taken: set[str] = set()
    made: dict[str, list[NodeProto]] = {}
    for node in reversed(graph.node):
        if node.op_type not in ELEMENTWISE or node.output[0] in taken:
            continue
        best = None
        for group in find_groups(index, node, order, shapes, widest):
            if (fresh := find(index, group, shapes)) is not None:
                best = group, fresh
        if best is None:
            continue
        group, (kind, nodes, weights) = best
        taken.update(one.output[0] for one in group.nodes)
        made[node.output[0]] = nodes
        graph.initializer.extend(weights)
        yield kind
    _put(graph, made)


def _put(graph: Any, made: Mapping[str, list[NodeProto]]) -> None:
    nodes: list[Any] = []
    for node in graph.node:
        nodes += made.get(node.output[0] if node.output else "", [node])
    copies = [type(one).FromString(one.SerializeToString()) for one in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _as_known(
    index: Index, group: Group, shapes: Shapes
) -> tuple[str, list[NodeProto], list[Any]] | None:
    """A known function of one number."""
    from onnx import helper

    constants = [name for node in group.nodes for name in node.input if index.is_constant(name)]
    if len(group.nodes) < 2 or any(index.scalar(name) is None for name in constants):
        return None
    near, far = group.compute(index, _POINTS), group.compute(index, _FAR)
    if near.shape != _POINTS.shape or far.shape != _FAR.shape:
        return None
    for known in _KNOWN:
        if len(group.nodes) < known.fewest or not _is_function(known, near, far):
            continue
        stem = group.nodes[-1].output[0]
        if known.kind != "SiLU":
            node = helper.make_node(known.kind, [group.root], [stem], **known.attributes)
            return known.kind, [node], []
        gate = helper.make_node("Sigmoid", [group.root], [f"{stem}/gate"])
        product = helper.make_node("Mul", [group.root, f"{stem}/gate"], [stem])
        return known.kind, [gate, product], []
    return None


def _is_function(known: _Known, near: _Array, far: _Array) -> bool:
    """Whether values at `_POINTS` and at `_FAR` are those of a function."""
    with np.errstate(all="ignore"):
        expected, beyond = known.compute(_POINTS), known.compute(_FAR)
    close = np.abs(near - expected) <= _CLOSE * (1 + np.abs(_POINTS))
    told = np.isfinite(far) & np.isfinite(beyond)  # written out, some overflow there
    same = np.abs(far - beyond)[told] <= _CLOSE * (1 + np.abs(_FAR[told]))
    return bool(close.all() and same.all())


def _as_layer_norm(
    index: Index, group: Group, shapes: Shapes
) -> tuple[str, list[NodeProto], list[Any]] | None:
    """Rows of mean 0 and variance 1, times a row, plus a row."""
    from onnx import helper, numpy_helper

    if sum(node.op_type == "ReduceMean" for node in group.nodes) < 2:
        return None
    width = (shapes.get(group.root) or (None,))[-1]
    epsilon = _epsilon(index, group)
    if not width or width < 2 or epsilon is None:
        return None
    random = np.random.default_rng(0)
    sizes = np.geomspace(math.sqrt(epsilon), 100, _ROWS)[:, None]  # where epsilon counts, and not
    rows = random.standard_normal((_ROWS, width)) * sizes + random.standard_normal((_ROWS, 1))
    try:
        values = group.compute(index, rows)
    except ValueError:  # shapes that don't fit a row
        return None
    if values.shape != rows.shape or not np.isfinite(values).all():
        return None
    centred = rows - rows.mean(axis=1, keepdims=True)
    normal = centred / np.sqrt(rows.var(axis=1, keepdims=True) + epsilon)
    mean_x, mean_y = normal.mean(axis=0), values.mean(axis=0)
    spread = ((normal - mean_x) ** 2).sum(axis=0)
    gain = ((normal - mean_x) * (values - mean_y)).sum(axis=0) / spread
    shift = mean_y - gain * mean_x
    far = np.abs(gain * normal + shift - values).max()
    if not far <= _LAYER_CLOSE * max(float(np.abs(values).max()), 1e-6):
        return None
    stem = group.nodes[-1].output[0]
    weights = [
        numpy_helper.from_array(one.astype(np.float32), f"{stem}/{name}")
        for one, name in ((gain, "gain"), (shift, "shift"))
    ]
    node = helper.make_node(
        "LayerNormalization", [group.root, *(one.name for one in weights)], [stem],
        axis=-1, epsilon=epsilon,
    )  # fmt: skip
    return "LayerNormalization", [node], weights


def _epsilon(index: Index, group: Group) -> float | None:
    """The one small number that is added."""
    found = [
        number
        for node in group.nodes
        if node.op_type == "Add"
        for name in node.input
        if (number := index.scalar(name)) is not None
    ]
    small = {number for number in found if _EPSILONS[0] <= number <= _EPSILONS[1]}
    return small.pop() if len(small) == 1 else None

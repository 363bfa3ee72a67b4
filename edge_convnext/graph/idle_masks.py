"""Masks that hide nothing, and the guard for rows that a mask hides whole: taken out.

transformers makes a mask of True alone when a network is exported, and torch's exporter writes
attention with a mask as Softmax(scores + mask), then 0 for each row that came out as no number. A
mask of zeros changes nothing. No row is without a number where no score is minus infinity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import numpy_helper

from edge_convnext.graph.qdq import Wiring, drop_unread
from edge_convnext.graph.structure import PRODUCTS, infer_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto, NodeProto

__all__ = ["drop_idle_masks"]

# Of one number alone, they make more of the same.
_SPREAD = frozenset(
    {"Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)


def drop_idle_masks(proto: ModelProto) -> int:
    """Take out additions of zero, and guards for rows without a number where there are none.

    Args:
        proto: Float graph; changed in place.

    Returns:
        Number of operations that nothing reads any more because of it, and that are gone.
    """
    if not any(node.op_type in ("IsNaN", "Where") for node in proto.graph.node):
        return 0
    before, shapes = len(proto.graph.node), infer_shapes(proto)
    uniform = _find_uniform(proto)
    for node in proto.graph.node:
        if node.op_type not in ("Add", "Where"):
            continue
        if (kept := _kept(Wiring(proto), node, uniform, shapes)) is not None:
            _read_instead(proto, node.output[0], kept)
    drop_unread(proto)
    return before - len(proto.graph.node)


def _kept(
    wiring: Wiring,
    node: NodeProto,
    uniform: Mapping[str, float],
    shapes: Mapping[str, tuple[int, ...]],
) -> str | None:
    """The value that is equal to what the node makes; None: there is none, or it is not sure."""
    if node.op_type == "Add":
        for name, mask in (tuple(node.input), tuple(reversed(node.input))):
            known = shapes.get(name, ())
            if uniform.get(mask) == 0.0 and 0 not in known and known == shapes.get(node.output[0]):
                return name
    if node.op_type == "Where":
        guard = wiring.producer.get(node.input[0])
        guarded = node.input[2]
        softmax = wiring.producer.get(guarded)
        if (
            guard is not None and guard.op_type == "IsNaN" and guard.input[0] == guarded
            and softmax is not None and softmax.op_type == "Softmax"
            and _is_finite(wiring, softmax.input[0], uniform)
        ):  # fmt: skip
            return guarded
    return None


def _is_finite(wiring: Wiring, name: str, uniform: Mapping[str, float]) -> bool:
    """Whether a value is a number wherever the products that it is made of are."""
    if name in uniform:
        return bool(np.isfinite(uniform[name]))
    if (constant := wiring.value(name)) is not None:
        return bool(np.isfinite(constant).all())
    node = wiring.producer.get(name)
    if node is None or node.op_type in PRODUCTS:
        return node is not None
    if node.op_type in _SPREAD:
        return _is_finite(wiring, node.input[0], uniform)
    if node.op_type == "Div" and not uniform.get(node.input[1]):
        return False  # it may be zero
    if node.op_type in ("Add", "Div", "Mul"):
        return all(_is_finite(wiring, one, uniform) for one in node.input)
    return False


def _find_uniform(proto: ModelProto) -> dict[str, float]:
    """The number that a value consists of, by the names of values that have one alone."""
    found: dict[str, float] = {}
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.size and values.dtype.kind in "biuf" and (values == values.flat[0]).all():
            found[tensor.name] = float(values.flat[0])
    for node in proto.graph.node:
        read = [found.get(name) for name in node.input]
        number: float | None = None
        if node.op_type in _SPREAD:
            number = read[0]
        elif node.op_type == "Not" and read[0] is not None:
            number = float(not read[0])
        elif node.op_type == "Where" and read[0] is not None:
            number = read[1] if read[0] else read[2]
        if number is not None:
            found[node.output[0]] = number
    return found


def _read_instead(proto: ModelProto, old: str, new: str) -> None:
    """Let all that read one value read another; an output of the graph keeps its name."""
    if any(value.name == old for value in proto.graph.output):
        return
    for node in proto.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]

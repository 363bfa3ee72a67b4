"""A factor or term by channel at a pooled row that is quantized: found.

OpenVINO 2026.4.1 fuses what follows a reduction into it, and takes a constant [C] and the steps
of Q/DQ for those of another axis where the reduction drops its axes and the channels come last: 1
to 10 dB against ONNX Runtime, for int8 and uint8 alike. Tried on graphs of five nodes:

- wrong: ReduceMean, ReduceMax or ReduceSum without `keepdims` of [N, H, W, C] or [N, T, C] to
  [N, C], then Mul, Div, Add, Sub or BatchNormalization with a constant [C] and Q/DQ, whatever
  reads that; also where a Mul or Div is right before the reduction, or behind the Q/DQ and its
  zero point is 0;
- right: without Q/DQ; with a constant of one number; of [N, C, H, W]; where something else reads
  the values in between; behind another activation than Relu; and where the reduction keeps its
  axes, which a Squeeze then takes off (`remedies.keep_pooled_axes`).

NNCF's SmoothQuant puts such a Mul before a classifier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["PooledScale", "find_pooled_scales", "is_pooled"]

_REDUCTIONS = frozenset({"ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"})
_BY_CHANNEL = frozenset({"Add", "Div", "Mul", "Sub"})
_SCALES = frozenset({"Div", "Mul"})
_QDQ = frozenset({"DequantizeLinear", "QuantizeLinear"})
_FUSED = _BY_CHANNEL | _QDQ | {"BatchNormalization", "Relu"}


@dataclass(frozen=True)
class PooledScale:
    """A reduction with a constant [C] beside it, and Q/DQ behind it."""

    reduction: NodeProto
    scale: NodeProto  # the Mul, Div, Add, Sub or BatchNormalization


def find_pooled_scales(proto: ModelProto, wiring: Wiring) -> Iterator[PooledScale]:
    """Every reduction to [N, C] that is followed by a constant [C] and Q/DQ.

    Args:
        proto: Graph with explicit Q/DQ.
        wiring: Wiring of that graph.
    """
    ranks: dict[str, int] | None = None
    for node in proto.graph.node:
        if node.op_type not in _REDUCTIONS or not _drops_axes(node):
            continue
        chain = list(_fused_behind(wiring, node))
        scales = [one for one in chain if _scales_channels(wiring, one)]
        before = wiring.producer.get(node.input[0])
        if before is not None and before.op_type in _SCALES:
            private = wiring.is_private(before.output[0])
            scales += [before] if private and _scales_channels(wiring, before) else []
        if not scales or not any(one.op_type == "QuantizeLinear" for one in chain):
            continue
        if ranks is None:
            ranks = _ranks(proto)
        if _keeps_last_alone(wiring, node, ranks.get(node.input[0])):
            yield PooledScale(node, scales[0])


def is_pooled(wiring: Wiring, name: str) -> bool:
    """Whether a value is a reduction's, without its axes: no factor by channel should follow.

    Args:
        wiring: Wiring of a graph, float or with Q/DQ.
        name: Value that a Mul [C] is thought of for.
    """
    node = wiring.producer.get(name)
    while node is not None and node.op_type in _FUSED:
        node = wiring.producer.get(_data_input(wiring, node))
    return node is not None and node.op_type in _REDUCTIONS and _drops_axes(node)


def _drops_axes(node: NodeProto) -> bool:
    return any(item.name == "keepdims" and item.i == 0 for item in node.attribute)


def _fused_behind(wiring: Wiring, node: NodeProto) -> Iterator[NodeProto]:
    """What follows a reduction and nothing else reads, as far as it is fused."""
    fused = _FUSED
    while wiring.is_private(node.output[0]):
        (node,) = wiring.readers[node.output[0]]
        if node.op_type not in fused or (
            node.op_type in _BY_CHANNEL and _constant(wiring, node) is None
        ):
            return
        yield node
        if node.op_type == "DequantizeLinear":
            fused = _QDQ | _SCALES if _has_no_zero_point(wiring, node) else frozenset()


def _scales_channels(wiring: Wiring, node: NodeProto) -> bool:
    """Whether this applies a constant of more than one number."""
    if node.op_type == "BatchNormalization":
        return True
    if node.op_type not in _BY_CHANNEL:
        return False
    name = _constant(wiring, node)
    value = None if name is None else wiring.value(name)
    return value is not None and value.size > 1


def _has_no_zero_point(wiring: Wiring, dequantize: NodeProto) -> bool:
    value = wiring.value(dequantize.input[2]) if len(dequantize.input) > 2 else None
    return value is None or not value.any()


def _constant(wiring: Wiring, node: NodeProto) -> str | None:
    return next((name for name in node.input if name in wiring.constants), None)


def _data_input(wiring: Wiring, node: NodeProto) -> str:
    return next((name for name in node.input if name not in wiring.constants), "")


def _keeps_last_alone(wiring: Wiring, node: NodeProto, rank: int | None) -> bool:
    """Whether what is left is the batch and the last axis."""
    axes = wiring.value(node.input[1]) if len(node.input) > 1 else None
    if axes is None:
        return False
    size = rank or len(axes) + 2
    return {int(axis) % size for axis in axes.reshape(-1)} == set(range(1, size - 1))


def _ranks(proto: ModelProto) -> dict[str, int]:
    """Ranks of the values, as far as they can be told."""
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(proto).graph
    known = (*graph.value_info, *graph.input, *graph.output)
    shapes = {one.name: one.type.tensor_type for one in known}
    return {name: len(one.shape.dim) for name, one in shapes.items() if one.HasField("shape")}

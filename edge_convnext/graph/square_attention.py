"""Attention of as many heads as tokens, whose heads are moved by a Transpose: found.

OpenVINO 2026.4.1 makes one kernel of the two products, the Softmax between them and the Transpose
[0, 2, 1, 3] on either side. Where its output has the shape of its first factor, it writes the one
over the other. With as many heads as tokens both have that shape, but the Transpose has put other
rows there, which are read later: 1 to 12 dB against ONNX Runtime, in float as in INT8. Networks
with such attention are MobileViT at 64 and 128 pixels. Tried on graphs of ten nodes with a fixed
batch of 1 to 64:

- wrong: four axes [N, heads, tokens, width], a Softmax over the last one, and a Transpose on one
  side; a factor by one number, a mask, Q/DQ may be in between. With a Transpose on both sides it is
  wrong in bfloat16, and with Q/DQ;
- right: another number of tokens than of heads; another width of the values than of the first
  factor; no Transpose; three axes; where the first factor is read elsewhere too; with a dynamic
  batch, which is 1.2 times slower; and where the Transpose has five axes
  (`remedies.move_heads_in_five_axes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.graph.structure import infer_shapes, integers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["SquareAttention", "find_square_attention"]

_SWAP = (0, 2, 1, 3)
_PAIR = frozenset({"DequantizeLinear", "Identity", "QuantizeLinear"})
_SCALES = _PAIR | {"Div", "Mul"}
_MASKS = _SCALES | {"Add", "Sub"}


@dataclass(frozen=True)
class SquareAttention:
    """Attention of as many heads as tokens."""

    softmax: NodeProto
    first: NodeProto  # the product before the Softmax
    second: NodeProto
    transposes: tuple[NodeProto, ...]  # before the first factor, and behind the second product


def find_square_attention(proto: ModelProto, wiring: Wiring) -> Iterator[SquareAttention]:
    """Every attention of as many heads as tokens with a Transpose of four axes beside it.

    Args:
        proto: Graph, float or with explicit Q/DQ.
        wiring: Wiring of that graph.
    """
    softmaxes = (node for node in proto.graph.node if node.op_type == "Softmax")
    found = [one for node in softmaxes if (one := _around(wiring, node)) is not None]
    shapes = infer_shapes(proto) if found else {}
    for one in found:
        factor, result = shapes.get(one.first.input[0], ()), shapes.get(one.second.output[0], ())
        if len(factor) == 4 and factor == result and factor[1] == factor[2] > 1:
            yield one


def _around(wiring: Wiring, softmax: NodeProto) -> SquareAttention | None:
    """The products around a Softmax, if a Transpose moves the heads."""
    if integers(softmax, "axis", (-1,)) not in ((-1,), (3,)):
        return None
    first = _before(wiring, softmax.input[0], _MASKS)
    second = _behind(wiring, softmax.output[0], _PAIR)
    if first is None or second is None or {first.op_type, second.op_type} != {"MatMul"}:
        return None
    if not wiring.is_private(first.input[0]):
        return None  # then it is not written over
    ends = (
        _before(wiring, first.input[0], _SCALES),
        _behind(wiring, second.output[0], _PAIR),
    )
    moves = tuple(one for one in ends if one is not None and _swaps_heads(one))
    return SquareAttention(softmax, first, second, moves) if moves else None


def _swaps_heads(node: NodeProto) -> bool:
    return node.op_type == "Transpose" and integers(node, "perm") == _SWAP


def _before(wiring: Wiring, name: str, passed: frozenset[str]) -> NodeProto | None:
    """The node that a value comes from, behind what else is passed; nothing else may read it."""
    while wiring.is_private(name):
        node = wiring.producer.get(name)
        if node is None or node.op_type not in passed:
            return node
        name = next((one for one in node.input if one not in wiring.constants), "")
    return None


def _behind(wiring: Wiring, name: str, passed: frozenset[str]) -> NodeProto | None:
    """The node that alone reads a value, behind what else is passed."""
    while wiring.is_private(name):
        (node,) = wiring.readers[name]
        if node.op_type not in passed:
            return node
        name = node.output[0]
    return None

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
    from collections.abc import Iterator, Mapping

    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.graph.structure import Shape

__all__ = ["SquareAttention", "find_square_attention"]

_SWAP = (0, 2, 1, 3)
_PAIR = frozenset({"DequantizeLinear", "Identity", "QuantizeLinear"})
_SCALES = _PAIR | {"Div", "Mul"}
_MASKS = _SCALES | {"Add", "Sub"}
_SHAPES = frozenset({"Expand", "Flatten", "Reshape"})


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
    if not any(map(_swaps_heads, proto.graph.node)):
        return
    walk = _Walk(wiring, infer_shapes(proto))
    for node in proto.graph.node:
        if node.op_type == "Softmax" and integers(node, "axis", (-1,)) in ((-1,), (3,)):
            found = walk.around(node)
            if found is not None:
                yield found


def _swaps_heads(node: NodeProto) -> bool:
    return node.op_type == "Transpose" and integers(node, "perm") == _SWAP


@dataclass(frozen=True)
class _Walk:
    """Ways through a graph, past what stays in the kernel and what does nothing."""

    wiring: Wiring
    shapes: Mapping[str, Shape]

    def around(self, softmax: NodeProto) -> SquareAttention | None:
        """The attention around a Softmax, if it is square and a Transpose moves its heads."""
        first = self._before(softmax.input[0], _MASKS)
        second = self._behind(softmax.output[0])
        if first is None or second is None or {first.op_type, second.op_type} != {"MatMul"}:
            return None
        (factor, _), (result,) = first.input, second.output
        shape = self.shapes.get(factor, ())
        square = len(shape) == 4 and shape[1] == shape[2] > 1
        if not square or shape != self.shapes.get(result) or not self.wiring.is_private(factor):
            return None
        ends = self._before(factor, _SCALES), self._behind(result)
        moves = tuple(one for one in ends if one is not None and _swaps_heads(one))
        return SquareAttention(softmax, first, second, moves) if moves else None

    def _before(self, name: str, passed: frozenset[str]) -> NodeProto | None:
        """The node that a value comes from, past others; nothing else may read it."""
        while self.wiring.is_private(name):
            node = self.wiring.producer.get(name)
            if node is None or not (node.op_type in passed or self._is_idle(node)):
                return node
            name = next((one for one in node.input if one not in self.wiring.constants), "")
        return None

    def _behind(self, name: str) -> NodeProto | None:
        """The node that alone reads a value, past others."""
        while self.wiring.is_private(name):
            (node,) = self.wiring.readers[name]
            if not (node.op_type in _PAIR or self._is_idle(node)):
                return node
            name = node.output[0]
        return None

    def _is_idle(self, node: NodeProto) -> bool:
        """Whether this gives a value the shape that it has; exporters leave such behind."""
        shape = self.shapes.get(node.input[0]) if node.op_type in _SHAPES else None
        return bool(shape) and shape == self.shapes.get(node.output[0])

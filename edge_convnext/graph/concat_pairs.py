"""Signed Q/DQ between a Concat and a dense convolution: found; `remedies` makes it unsigned.

OpenVINO 2026.4.1 computes such convolutions wrongly (6 to 19 dB against ONNX Runtime): it moves
the pair in front of the Concat, and corrects for the sign as if there were one input. Tried on
graphs of five nodes, each with int8 and with uint8 pairs. Wrong is int8 where

- the pair is behind the Concat, at once or behind a Relu and then operations that an affine
  function by channel is made of; behind any other activation, pooling or change of shape it is
  right, and where something else reads the Concat;
- or no pair is behind the Concat, and pairs are in front of every input;
- and pooling, slices, padding, a Relu and the like may be between the pair and the convolution.

Grouped and transposed convolutions and matrix products are right, and uint8 always is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["SignedConcat", "comes_from_concat", "find_signed_concats"]

_AFFINE = frozenset({"Add", "BatchNormalization", "Div", "Identity", "Mul", "Sub"})
_SCALES = frozenset({"Div", "Mul"})
# What the sign goes through, from a pair to the convolution that reads it.
_PASSED = frozenset(
    {
        "AveragePool",
        "Identity",
        "MaxPool",
        "Neg",
        "Pad",
        "Relu",
        "Reshape",
        "Resize",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)


@dataclass(frozen=True)
class SignedConcat:
    """A convolution that reads a Concat through signed pairs."""

    conv: NodeProto
    concat: NodeProto
    pairs: tuple[NodeProto, ...]  # each DequantizeLinear that is signed


def find_signed_concats(proto: ModelProto, wiring: Wiring) -> Iterator[SignedConcat]:
    """Every dense convolution of quantized weights with a signed pair between it and a Concat.

    Args:
        proto: Graph with explicit Q/DQ.
        wiring: Wiring of that graph.
    """
    for node in proto.graph.node:
        if node.op_type == "Conv" and _group(node) == 1 and wiring.has_quantized_weight(node):
            end = _walk(wiring, node.input[0])
            if end is None:
                continue
            found = None
            if end.op_type == "Concat":
                found = _in_front(wiring, node, end)
            elif end.op_type == "DequantizeLinear" and _is_signed(wiring, end):
                found = _behind(wiring, node, end)
            if found is not None:
                yield found


def comes_from_concat(wiring: Wiring, name: str) -> bool:
    """Whether a signed pair put on this value would be one behind a Concat.

    Args:
        wiring: Wiring of a graph, float or with Q/DQ.
        name: Value that is to be quantized.
    """
    return _concat_before(wiring, name) is not None


def _walk(wiring: Wiring, name: str) -> NodeProto | None:
    """The node that a value comes from, behind what the sign goes through."""
    node = wiring.producer.get(name)
    while node is not None and (node.op_type in _PASSED or _is_scale(wiring, node)):
        node = wiring.producer.get(_data_input(wiring, node))
    return node


def _in_front(wiring: Wiring, conv: NodeProto, concat: NodeProto) -> SignedConcat | None:
    """Pairs in front of every input of a Concat, of which one or more are signed."""
    ends = [_walk(wiring, name) for name in concat.input]
    pairs = [one for one in ends if one is not None and one.op_type == "DequantizeLinear"]
    signed = tuple(one for one in pairs if _is_signed(wiring, one))
    if len(ends) < 2 or len(pairs) < len(ends) or not signed:
        return None
    return SignedConcat(conv, concat, signed)


def _behind(wiring: Wiring, conv: NodeProto, dequantize: NodeProto) -> SignedConcat | None:
    """A signed pair behind a Concat."""
    quantize = wiring.producer[dequantize.input[0]]
    concat = _concat_before(wiring, quantize.input[0])
    if concat is None or (conv.input[0] == dequantize.output[0] and _is_strided_point(conv)):
        return None
    return SignedConcat(conv, concat, (dequantize,))


def _concat_before(wiring: Wiring, name: str) -> NodeProto | None:
    """The Concat that a value comes from by an affine function by channel, of a Relu or not."""
    node = wiring.producer.get(name)
    while node is not None and _is_affine(wiring, node):
        name = _data_input(wiring, node)
        node = wiring.producer.get(name) if wiring.is_private(name) else None
    if node is not None and node.op_type == "Relu":
        name = node.input[0]
        node = wiring.producer.get(name)
    if node is None or node.op_type != "Concat" or not wiring.is_private(node.output[0]):
        return None
    return node if len(node.input) > 1 else None


def _is_affine(wiring: Wiring, node: NodeProto) -> bool:
    if node.op_type in ("Identity", "BatchNormalization"):
        return True
    if node.op_type not in _AFFINE:
        return False
    constant = [name in wiring.constants for name in node.input]
    return constant[1] or (constant[0] and node.op_type in ("Add", "Mul"))


def _is_scale(wiring: Wiring, node: NodeProto) -> bool:
    return node.op_type in _SCALES and _is_affine(wiring, node)


def _data_input(wiring: Wiring, node: NodeProto) -> str:
    return next((name for name in node.input if name not in wiring.constants), "")


def _is_signed(wiring: Wiring, dequantize: NodeProto) -> bool:
    """Whether this dequantizes int8 that a QuantizeLinear makes, and no weight."""
    quantize = wiring.producer.get(dequantize.input[0])
    if quantize is None or quantize.op_type != "QuantizeLinear" or len(dequantize.input) < 3:
        return False
    readers = wiring.readers[quantize.output[0]]
    if any(reader.op_type != "DequantizeLinear" for reader in readers):
        return False  # a graph that moves int8 values, which nothing was tried with
    zero_point = wiring.value(dequantize.input[2])
    return zero_point is not None and zero_point.dtype == np.int8


def _is_strided_point(conv: NodeProto) -> bool:
    """Whether this is a 1x1 convolution with a stride, which takes another way and is right."""
    facts = {item.name: list(item.ints) for item in conv.attribute}
    sizes, strides = facts.get("kernel_shape", []), facts.get("strides", [])
    return bool(strides) and max(strides) > 1 and bool(sizes) and max(sizes) == 1


def _group(conv: NodeProto) -> int:
    return next((item.i for item in conv.attribute if item.name == "group"), 1)

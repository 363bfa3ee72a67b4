"""Idle pairs: Q/DQ that no quantized product needs any more, once some are back in float.

The placer writes pairs behind convolutions, around residual additions and SiLU's parts as well.
Where the products beside such a pair are float again, it only rounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.graph.qdq import MOVES, Wiring
from edge_convnext.graph.structure import PRODUCTS, RELUS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnx import ModelProto, NodeProto

__all__ = ["drop_idle_pairs"]

# Between two pairs: they stay INT8 where a product at either end is.
_BETWEEN = frozenset({"Add", "HardSigmoid", "Mul", "Sigmoid"})
_THROUGH = MOVES | {"AveragePool", "Concat", "GlobalAveragePool", "MaxPool"}


def drop_idle_pairs(proto: ModelProto) -> int:
    """Let what reads an idle pair read the float tensor behind it.

    A pair is in use where a quantized product makes its tensor, but for a Relu or Clip, or reads
    it, but for what selects, averages or moves values; and on one side of an operation that has
    such a pair on another.

    Returns:
        The number of pairs dropped.
    """
    wiring = Wiring(proto)
    pairs = {
        node.output[0]: node
        for node in proto.graph.node
        if node.op_type == "DequantizeLinear" and _quantizer(wiring, node) is not None
    }
    used = {name for name, node in pairs.items() if _is_used(wiring, node)}
    beside = {
        name
        for node in proto.graph.node
        if node.op_type in _BETWEEN
        for name in _around(wiring, node)
        if not used.isdisjoint(_around(wiring, node))
    }
    idle = set(pairs) - used - beside
    for name in idle:
        quantizer = _quantizer(wiring, pairs[name])
        assert quantizer is not None  # as above
        for reader in wiring.readers.get(name, ()):
            _read_instead(reader, name, quantizer.input[0])
    _leave_floats(wiring, {name: pairs[name] for name in set(pairs) - idle})
    gone = {pairs[name].name for name in idle}
    gone |= {wiring.producer[pairs[name].input[0]].name for name in idle}
    kept = [node for node in proto.graph.node if node.name not in gone]
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    return len(idle)


def _leave_floats(wiring: Wiring, pairs: Mapping[str, NodeProto]) -> None:
    """Let a float product read what a float product made as it is: see `spots`."""
    for name, node in pairs.items():
        quantizer = _quantizer(wiring, node)
        assert quantizer is not None  # of a pair
        maker = _maker(wiring, quantizer)
        if maker is None or maker.op_type not in PRODUCTS or _is_quantized(wiring, maker):
            continue
        for reader in wiring.readers.get(name, ()):
            if reader.op_type in PRODUCTS and not _is_quantized(wiring, reader):
                _read_instead(reader, name, quantizer.input[0])


def _read_instead(node: NodeProto, old: str, new: str) -> None:
    node.input[:] = [new if one == old else one for one in node.input]


def _maker(wiring: Wiring, quantizer: NodeProto) -> NodeProto | None:
    """What makes a quantized tensor, before a Relu or Clip."""
    maker = wiring.producer.get(quantizer.input[0])
    while maker is not None and maker.op_type in RELUS:
        maker = wiring.producer.get(maker.input[0])
    return maker


def _quantizer(wiring: Wiring, node: NodeProto) -> NodeProto | None:
    made = wiring.producer.get(node.input[0])
    return made if made is not None and made.op_type == "QuantizeLinear" else None


def _is_used(wiring: Wiring, node: NodeProto) -> bool:
    quantizer = _quantizer(wiring, node)
    assert quantizer is not None  # of a pair
    maker = _maker(wiring, quantizer)
    if maker is not None and _is_quantized(wiring, maker):
        return True
    return any(_is_quantized(wiring, reader) for reader in _readers(wiring, node.output[0]))


def _is_quantized(wiring: Wiring, node: NodeProto) -> bool:
    return node.op_type in PRODUCTS and wiring.is_quantized(node)


def _readers(wiring: Wiring, name: str) -> Iterator[NodeProto]:
    """Nodes that read a value, past those that select, average or move it, and past their pairs."""
    names = [name]
    while names:
        for reader in wiring.readers.get(names.pop(), ()):
            if reader.op_type in _THROUGH or reader.op_type in (
                "DequantizeLinear", "QuantizeLinear",
            ):  # fmt: skip
                names += reader.output
            else:
                yield reader


def _around(wiring: Wiring, node: NodeProto) -> set[str]:
    """Dequantized values that a node reads, and those made of what it makes, behind its Relu."""
    found = {name for name in node.input if _is_pair(wiring, name)}
    names = list(node.output)
    while names:
        for reader in wiring.readers.get(names.pop(), ()):
            if reader.op_type == "QuantizeLinear":
                found.update(
                    pair.output[0]
                    for pair in wiring.readers.get(reader.output[0], ())
                    if pair.op_type == "DequantizeLinear"
                )
            elif reader.op_type in RELUS:
                names += reader.output
    return found


def _is_pair(wiring: Wiring, name: str) -> bool:
    node = wiring.producer.get(name)
    return node is not None and node.op_type == "DequantizeLinear"

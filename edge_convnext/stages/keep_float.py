"""Fallback: return operations of a Q/DQ graph to float, and find how many have to be.

The quantized graph and the float graph it was made from have the same node names, so that an
operation gets its own float weight and bias back; nothing is calibrated again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge_convnext.core.step import Stage
from edge_convnext.graph.file import read_facts, read_proto, write_proto
from edge_convnext.stages.quantize_roles import PLACER_FACT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["STAGE", "find_fallback", "keep_float", "keep_matching", "quantized_operations"]

STAGE = Stage("fallback", 1, ("onnx", "onnxruntime"))


def quantized_operations(proto: ModelProto) -> tuple[str, ...]:
    """Names of the convolutions and products with quantized inputs, in the graph's order."""
    from edge_convnext.graph.qdq import WEIGHTED_OPS, Wiring

    wiring = Wiring(proto)
    return tuple(
        node.name
        for node in proto.graph.node
        if node.op_type in WEIGHTED_OPS and wiring.is_quantized(node)
    )


def keep_float(quantized: ModelProto, reference: ModelProto, names: Collection[str]) -> ModelProto:
    """Return some operations to float.

    A Q/DQ pair that other operations read as well stays for them. In a graph that was placed by
    roles, pairs behind convolutions and around additions go where no product beside them is INT8.

    Args:
        quantized: Explicit Q/DQ; left as it is.
        reference: The float graph it was made from.
        names: Of operations that are quantized now.

    Returns:
        A new graph; a copy of `quantized` for no names.

    Raises:
        KeyError: A name is not one of both graphs.
    """
    from edge_convnext.graph.idle_pairs import drop_idle_pairs
    from edge_convnext.graph.qdq import Wiring, drop_unread_constants

    proto = type(quantized)()
    proto.CopyFrom(quantized)
    if not names:
        return proto
    wiring, float_wiring = Wiring(proto), Wiring(reference)
    nodes = {node.name: node for node in proto.graph.node}
    originals = {node.name: node for node in reference.graph.node}
    for name in sorted(names):
        node, original = nodes[name], originals[name]
        for position, part in enumerate(("input", "weight")):
            constant = original.input[position]
            if constant in float_wiring.constants:
                fresh = _restore(proto, float_wiring, constant, f"{name}.{part}")
            else:
                fresh = _before_quantizer(proto, wiring, node, position)
            node.input[position] = fresh
        if len(node.input) > 2 and node.input[2]:
            node.input[2] = _restore(proto, float_wiring, original.input[2], f"{name}.bias")
        elif node.op_type == "MatMul":
            _restore_bias(proto, nodes, wiring, float_wiring, original)
    if read_facts(proto).get(PLACER_FACT) == "roles":
        drop_idle_pairs(proto)
    _drop_unread_pairs(proto)
    drop_unread_constants(proto)
    return proto


def keep_matching(quantized: Path, reference: Path, patterns: Sequence[str]) -> int:
    """Return operations whose names match to float, in the file of a Q/DQ graph.

    A module may be another operation in this form: `…/Conv` for `…/MatMul`.

    Args:
        quantized: Explicit Q/DQ; written anew where anything matches.
        reference: The float graph it was made from.
        patterns: Regular expressions of whole node names.

    Returns:
        How many operations stay INT8.

    Raises:
        ArtifactError: A file is missing, or not ONNX.
    """
    from edge_convnext.graph.qdq import WEIGHTED_OPS

    proto = read_proto(quantized)
    operations = quantized_operations(proto)
    kept = []
    for operation in operations:
        module = operation.rpartition("/")[0]
        names = [f"{module}/{kind}" for kind in WEIGHTED_OPS]
        if any(re.fullmatch(pattern, name) for pattern in patterns for name in names):
            kept.append(operation)
    if kept:
        write_proto(keep_float(proto, read_proto(reference), kept), quantized)
    return len(operations) - len(kept)


def find_fallback(
    ranking: Sequence[str], holds: Callable[[Sequence[str]], bool]
) -> tuple[str, ...] | None:
    """The shortest beginning of a ranking that, kept in float, holds the budget.

    Found by bisection: `holds` is taken to stay true once it is, which more float can break by
    chance alone; what is returned has been seen to hold.

    Args:
        ranking: Operations, the most harmful first.
        holds: Whether the budget holds with these in float.

    Returns:
        None where not even all of them suffice.
    """
    if not holds(ranking):
        return None
    low, high = 0, len(ranking)  # `low` is known to fail, or is the caller's own failure
    while high - low > 1:
        middle = (low + high) // 2
        if holds(ranking[:middle]):
            high = middle
        else:
            low = middle
    return tuple(ranking[:high])


def _before_quantizer(proto: ModelProto, wiring: Wiring, node: NodeProto, position: int) -> str:
    """The float tensor behind the quantizer of a node's input, moved as that is."""
    from edge_convnext.graph.qdq import MOVES

    moves = []
    maker = wiring.producer[node.input[position]]
    while maker.op_type in MOVES:
        moves.append(maker)
        maker = wiring.producer[maker.input[0]]
    name: str = wiring.producer[maker.input[0]].input[0]
    at = next(i for i, one in enumerate(proto.graph.node) if one.name == node.name)
    for number, move in enumerate(reversed(moves)):
        copy = type(move)()
        copy.CopyFrom(move)
        fresh = f"{node.name}.float_{position}_{number}"
        copy.name, copy.input[0] = f"{fresh}/{move.op_type}", name
        copy.output[0] = name = fresh
        proto.graph.node.insert(at + number, copy)
    return name


def _restore(proto: ModelProto, wiring: Wiring, constant: str, fresh: str) -> str:
    """Copy a constant of the float graph under a name of its own."""
    tensor = proto.graph.initializer.add()
    tensor.CopyFrom(wiring.constants[constant])
    tensor.name = f"{fresh}.float"
    return tensor.name


def _restore_bias(
    proto: ModelProto,
    nodes: Mapping[str, NodeProto],
    wiring: Wiring,
    float_wiring: Wiring,
    original: NodeProto,
) -> None:
    """The bias of a MatMul is an Add of its own, which bias correction may have changed."""
    for before in float_wiring.readers.get(original.output[0], ()):
        now = nodes[before.name]  # a quantizer may lie between it and the product
        for position, (name, old) in enumerate(zip(now.input, before.input, strict=True)):
            if now.op_type == "Add" and name in wiring.constants and old in float_wiring.constants:
                fresh = _restore(proto, float_wiring, old, f"{now.name}.{position}")
                shape = wiring.constants[name].dims  # [1, C] where [C] was
                del proto.graph.initializer[-1].dims[:]
                proto.graph.initializer[-1].dims.extend(shape)
                now.input[position] = fresh


def _drop_unread_pairs(proto: ModelProto) -> None:
    """Q, DQ and the moves behind them that nothing reads any more, those of weights too."""
    from edge_convnext.graph.qdq import MOVES

    while True:
        read = {name for node in proto.graph.node for name in node.input}
        read |= {value.name for value in proto.graph.output}
        unread = [
            node
            for node in proto.graph.node
            if node.op_type in ("QuantizeLinear", "DequantizeLinear", *MOVES)
            and node.output[0] not in read
        ]
        if not unread:
            return
        for node in unread:
            proto.graph.node.remove(node)

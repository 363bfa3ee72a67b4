"""Fallback: return operations of a Q/DQ graph to float, and find how many must be returned.

The quantized graph and the float graph it was made from have the same node names. So an operation
gets its original float weight and bias back, and no new calibration is needed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge_convnext.core.step import Stage
from edge_convnext.graph.file import read_facts, read_proto, write_proto
from edge_convnext.graph.operation_types import require_types
from edge_convnext.graph.structure import PRODUCTS
from edge_convnext.stages.quantize_roles import PLACER_FACT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["STAGE", "find_fallback", "keep_float", "keep_matching", "quantized_operations"]

STAGE = Stage("fallback", 2, ("onnx", "onnxruntime"))


def quantized_operations(proto: ModelProto) -> tuple[str, ...]:
    """List the names of convolutions and products with quantized inputs, in graph order."""
    from edge_convnext.graph.qdq import Wiring

    wiring = Wiring(proto)
    return tuple(
        node.name
        for node in proto.graph.node
        if node.op_type in PRODUCTS and wiring.is_quantized(node)
    )


def keep_float(quantized: ModelProto, reference: ModelProto, names: Collection[str]) -> ModelProto:
    """Return some operations to float.

    A Q/DQ pair that other operations also read stays in the graph for them. In a graph that was
    placed by roles, pairs behind convolutions and around additions go if no product beside them is
    INT8.

    Args:
        quantized: The graph with explicit Q/DQ; not changed.
        reference: The float graph that it was made from.
        names: Names of quantized operations to return.

    Returns:
        A new graph; a copy of `quantized` if there are no names.

    Raises:
        KeyError: A name is not in both graphs.
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


def keep_matching(
    quantized: Path, reference: Path, patterns: Sequence[str], types: Collection[str] = ()
) -> int:
    """Return operations whose names match to float, in the file of a Q/DQ graph.

    A pattern also matches if the module has another operation in this form: `…/Conv` for
    `…/MatMul`.

    Args:
        quantized: The graph with explicit Q/DQ; its file is written again if a name matches.
        reference: The float graph that it was made from.
        patterns: Regular expressions for whole node names.
        types: Types of operations, such as Conv.

    Returns:
        Number of operations that stay INT8.

    Raises:
        ArtifactError: A file is missing, or not ONNX.
        QuantizationError: A type is none of ONNX.
    """
    proto = read_proto(quantized)
    require_types(proto, types, reference)
    kinds = {node.name: node.op_type for node in proto.graph.node}
    operations = quantized_operations(proto)
    kept = []
    for operation in operations:
        module = operation.rpartition("/")[0]
        names = [f"{module}/{kind}" for kind in PRODUCTS]
        if kinds.get(operation) in types or any(
            re.fullmatch(pattern, name) for pattern in patterns for name in names
        ):
            kept.append(operation)
    if kept:
        write_proto(keep_float(proto, read_proto(reference), kept), quantized)
    return len(operations) - len(kept)


def find_fallback(
    ranking: Sequence[str], holds: Callable[[Sequence[str]], bool]
) -> tuple[str, ...] | None:
    """Find the shortest prefix of a ranking that meets the budget when it is kept in float.

    This is a bisection. It assumes that more float never breaks the budget, which is true except
    by chance. The returned prefix was tested and meets the budget.

    Args:
        ranking: Names of operations, the most harmful first.
        holds: A function that is true if the budget is met with the given operations in float.

    Returns:
        The names to keep in float; None if the budget is not met even with all of them.
    """
    if not holds(ranking):
        return None
    low, high = 0, len(ranking)  # `low` operations fail; the caller has seen that 0 fail
    while high - low > 1:
        middle = (low + high) // 2
        if holds(ranking[:middle]):
            high = middle
        else:
            low = middle
    return tuple(ranking[:high])


def _before_quantizer(proto: ModelProto, wiring: Wiring, node: NodeProto, position: int) -> str:
    """Return the float tensor that the quantizer of a node's input reads, with the same moves."""
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
    """Copy a constant of the float graph under a new name."""
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
    """Restore the bias of a MatMul, a separate Add that bias correction may have changed."""
    for before in float_wiring.readers.get(original.output[0], ()):
        now = nodes[before.name]  # a quantizer may be between it and the product
        for position, (name, old) in enumerate(zip(now.input, before.input, strict=True)):
            if now.op_type == "Add" and name in wiring.constants and old in float_wiring.constants:
                fresh = _restore(proto, float_wiring, old, f"{now.name}.{position}")
                shape = wiring.constants[name].dims  # may be [1, C] where the float graph has [C]
                del proto.graph.initializer[-1].dims[:]
                proto.graph.initializer[-1].dims.extend(shape)
                now.input[position] = fresh


def _drop_unread_pairs(proto: ModelProto) -> None:
    """Remove unread Q, DQ and the moves after them, including those of weights."""
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

"""What every node of a graph does, and at which resolution: how times and kernels are counted.

No names are read. A product counts for its role; what is no product for what it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from edge_convnext.graph.norms import NORMS, is_norm
from edge_convnext.graph.roles import describe
from edge_convnext.graph.structure import read_structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.roles import Product, Roles
    from edge_convnext.graph.structure import Structure

__all__ = ["NodePart", "PartRole", "find_node_parts"]

PartRole = Literal[
    "first", "conv", "pointwise", "depthwise", "grouped", "linear", "attention", "gate", "norm",
    "activation", "pool", "residual", "last", "quantize", "reorder", "other",
]  # fmt: skip

_PAIR = frozenset({"DequantizeLinear", "QuantizeLinear"})
# Of norms that are written out, too.
_OF_NORMS = NORMS | {"Div", "Pow", "Reciprocal", "ReduceL2", "Sqrt"}
_ACTIVATIONS = frozenset(
    {"Celu", "Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish"}
    | {"PRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh"}
)
_POOLS = frozenset(
    {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "MaxPool", "ReduceMax"}
    | {"ReduceMean", "ReduceSum"}
)
_MOVES = frozenset(
    {"Cast", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape"}
    | {"Resize", "Shape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose"}
    | {"Unsqueeze"}
)


_AFFINE: frozenset[PartRole] = frozenset(
    ("first", "conv", "pointwise", "depthwise", "grouped", "linear", "attention", "norm", "last")
)


class NodePart(NamedTuple):
    """What a node does, and where."""

    role: PartRole
    stage: int | None  # by resolution, from 0; None for what is the same everywhere


def find_node_parts(proto: ModelProto) -> Mapping[str, NodePart]:
    """The part of every node, by its name.

    Args:
        proto: Float, or with Q/DQ; weights are not needed.
    """
    seen, roles = read_structure(proto), describe(proto)
    gates = _find_gates(seen, roles)
    parts: dict[str, NodePart] = {}
    stages: dict[str, int] = {}  # of values
    for node in seen.nodes:
        product = roles.by_name.get(node.name)
        above = max((stages.get(name, 0) for name in node.input), default=0)
        stage = above if product is None else product.stage
        stages.update(dict.fromkeys(node.output, stage))
        parts[node.name] = _part_of(seen, node, product, parts, node.name in gates, stage)
    return parts


def _part_of(
    seen: Structure,
    node: NodeProto,
    product: Product | None,
    parts: Mapping[str, NodePart],
    is_gate: bool,
    stage: int,
) -> NodePart:
    if node.op_type in _PAIR:
        return NodePart("quantize", None)
    if is_gate:
        return NodePart("gate", stage)
    if product is not None:
        if product.first or product.last:
            return NodePart("first" if product.first else "last", None)
        return NodePart(product.kind, stage)
    behind = _part_of_what_it_scales(seen, node, parts)
    if behind is not None:
        return behind
    role = _role_of(seen, node)
    return NodePart(role, None if role in ("reorder", "other") else stage)


def _part_of_what_it_scales(
    seen: Structure, node: NodeProto, parts: Mapping[str, NodePart]
) -> NodePart | None:
    """The part of the product or norm whose bias, or factor by channel, a node is."""
    if node.op_type not in ("Add", "Mul") or len(read := seen.variables(node)) != 1:
        return None
    maker = seen.maker.get(read[0])
    part = None if maker is None else parts.get(maker.name)
    return part if part is not None and part.role in _AFFINE else None


def _role_of(seen: Structure, node: NodeProto) -> PartRole:
    kind = node.op_type
    if kind == "Softmax" or (kind in ("Add", "Div", "Mul") and _is_for_attention(seen, node)):
        return "attention"
    if kind in _MOVES:
        return "reorder"
    if kind in _OF_NORMS or any(is_norm(seen, node, name) for name in node.input):
        return "norm"
    if kind == "Sub" and any(_makes(seen, name, "ReduceMean") for name in node.input):
        return "norm"
    if kind in _POOLS:
        return "pool"
    variables = seen.variables(node)
    silu = kind == "Mul" and any(_makes(seen, name, "Sigmoid", "HardSigmoid") for name in variables)
    if kind in _ACTIVATIONS or silu:
        return "activation"
    return "residual" if kind == "Add" and len(variables) > 1 else "other"


def _is_for_attention(seen: Structure, node: NodeProto) -> bool:
    """Whether what a node makes is compared with other positions: a scale, or a mask."""
    return any(
        reader.op_type == "Softmax"
        or (reader.op_type == "MatMul" and len(seen.variables(reader)) == 2)
        for reader in seen.readers.get(node.output[0], ())
    )


def _makes(seen: Structure, name: str, *kinds: str) -> bool:
    maker = seen.maker.get(name)
    return maker is not None and maker.op_type in kinds


def _find_gates(seen: Structure, roles: Roles) -> frozenset[str]:
    """Names of the nodes between the pool of a gate and the product with its map."""
    found: set[str] = set()
    nodes = [node for node in seen.nodes if roles.by_name.get(node.name, None) is not None]
    todo = [node for node in nodes if roles.by_name[node.name].gate]
    while todo:
        node = todo.pop()
        if node.name in found or node.op_type in _PAIR:
            continue
        found.add(node.name)
        if node.output[0] not in seen.pooled:
            continue  # the product with the map
        todo += [reader for name in node.output for reader in seen.readers.get(name, ())]
        todo += [
            seen.maker[name]
            for name in seen.variables(node)
            if name in seen.maker and name in seen.pooled
        ]
    return frozenset(found)

"""Names by place: `stages.1.4/Conv` is in the second resolution, behind its fourth product.

A user's own names may be of any tool, or numbers; equal graphs get equal names.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from edge_convnext.graph.foreign.index import drop_unused, rename_values
from edge_convnext.graph.foreign.rewrite import infer_shapes
from edge_convnext.graph.structure import ALL_PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import GraphProto, ModelProto, NodeProto

__all__ = ["name_by_place"]

_PARTS = {"Conv": ("weight", "bias"), "Gemm": ("weight", "bias"), "MatMul": ("weight",),
          "LayerNormalization": ("weight", "bias")}  # fmt: skip


def name_by_place(proto: ModelProto) -> None:
    """Name nodes `<place>/<OpType>`, values after their nodes, weights after who reads them.

    Args:
        proto: From `images` to `logits`; its sizes can be inferred.
    """
    graph = proto.graph
    drop_unused(graph)
    places = _places(proto)
    taken: Counter[str] = Counter()
    values = {"images": "images", "logits": "logits"}
    for node, place in zip(graph.node, places, strict=True):
        stem = f"{place}/{node.op_type}"
        node.name = f"{stem}_{taken[stem]}" if taken[stem] else stem
        taken[stem] += 1
        for at, value in enumerate(node.output):
            values.setdefault(value, f"{node.name}:{at}" if at else node.name)
    values.update(_name_weights(graph))
    rename_values(graph, lambda name: values[name])
    for part in (proto, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.name = "edge_convnext"
    proto.producer_name, proto.producer_version, proto.domain = "", "", ""


def _places(proto: ModelProto) -> list[str]:
    """Of each node: the head is what leads from the last weighted product to the logits."""
    graph = proto.graph
    shapes = infer_shapes(proto)
    constants = {tensor.name for tensor in graph.initializer}
    products = [
        at for at, node in enumerate(graph.node)
        if node.op_type in ALL_PRODUCTS and any(name in constants for name in node.input)
    ]  # fmt: skip
    head = products[-1] if products else len(graph.node)
    stage, blocks, area = -1, 0, 0
    places = []
    for at, node in enumerate(graph.node):
        if at >= head:
            places.append("head")
            continue
        if at in products:
            found = _area(shapes, node) or area
            if stage < 0 or (found and found < area):
                stage, blocks = stage + 1, 0
            area = found or area
            blocks += 1
        places.append("input" if stage < 0 else f"stages.{stage}.{max(blocks - 1, 0)}")
    return places


def _area(shapes: Mapping[str, tuple[int | None, ...]], node: NodeProto) -> int:
    """Pixels of a feature map; 0: none, as of tokens and pooled features."""
    shape = shapes.get(node.output[0], ())
    if len(shape) != 4 or node.op_type not in ("Conv", "ConvTranspose"):
        return 0
    area = (shape[2] or 0) * (shape[3] or 0)
    return area if area > 1 else 0  # a gate's 1x1 is no resolution


def _name_weights(graph: GraphProto) -> dict[str, str]:
    users: dict[str, list[tuple[NodeProto, int]]] = {}
    for node in graph.node:
        for at, value in enumerate(node.input):
            users.setdefault(value, []).append((node, at))
    names: dict[str, str] = {}
    shared = 0
    for tensor in graph.initializer:
        (node, at), *more = users[tensor.name]
        parts = _PARTS.get(node.op_type, ())
        if more:
            names[tensor.name] = f"shared_constant_{shared}"
            shared += 1
        elif 0 < at <= len(parts):
            names[tensor.name] = f"{node.name}.{parts[at - 1]}"
        else:
            names[tensor.name] = f"{node.name}.input_{at}"
    return names

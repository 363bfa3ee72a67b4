"""How large a graph is: parameters, and multiply-accumulates of one image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_convnext.graph.foreign.rewrite import infer_shapes
from edge_convnext.graph.structure import ALL_PRODUCTS

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["count_work"]

_FLOAT = 1


def count_work(proto: ModelProto) -> tuple[int, int]:
    """Count parameters and multiply-accumulates.

    Args:
        proto: A float graph from `images` to `logits`; its sizes can be inferred.

    Returns:
        Numbers of its weights, scalars left out; multiply-accumulates of its convolutions and
        matrix products for one image.
    """
    graph = proto.graph
    shapes = infer_shapes(proto)
    rows = shapes["images"][0] or 1
    params = sum(
        math.prod(one.dims) for one in graph.initializer if one.data_type == _FLOAT and one.dims
    )
    macs = 0
    for node in graph.node:
        if node.op_type not in ALL_PRODUCTS:
            continue
        first, second = (shapes.get(name, ()) for name in node.input[:2])
        outputs = math.prod(size or 1 for size in shapes.get(node.output[0], ()))
        if node.op_type == "ConvTranspose":  # each input meets each weight of its group
            outputs = math.prod(size or 1 for size in first)
        inner = (
            math.prod(size or 1 for size in second[1:])
            if "Conv" in node.op_type
            else (first[-1] if first else 0)
        )
        macs += outputs * (inner or 0)
    return params, macs // rows

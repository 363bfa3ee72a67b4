"""Pooling windows that cover the whole map: written as the global pooling that they are.

transformers' EfficientNet pools with a window of 2560 positions, rounded up, whatever the map has.
torch and ONNX Runtime average what there is of it; OpenVINO refuses a window larger than its map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.graph.structure import infer_shapes, integers, pads_itself

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.structure import Shape

__all__ = ["pool_whole_maps"]

_GLOBAL = {"AveragePool": "GlobalAveragePool", "MaxPool": "GlobalMaxPool"}


def pool_whole_maps(proto: ModelProto) -> int:
    """Turn such AveragePool and MaxPool into GlobalAveragePool and GlobalMaxPool.

    Args:
        proto: Float graph; changed in place.

    Returns:
        Number of nodes that were turned.
    """
    if not any(node.op_type in _GLOBAL for node in proto.graph.node):
        return 0
    shapes, turned = infer_shapes(proto), 0
    for node in proto.graph.node:
        if node.op_type in _GLOBAL and _covers(node, shapes.get(node.input[0], ())):
            node.op_type = _GLOBAL[node.op_type]
            node.ClearField("attribute")
            turned += 1
    return turned


def _covers(node: NodeProto, shape: Shape) -> bool:
    """Whether one window has the whole map, and nothing but it."""
    sides, window = shape[2:], integers(node, "kernel_shape")
    return (
        len(node.output) == 1
        and len(sides) == len(window) > 0
        and all(0 < side <= one for side, one in zip(sides, window, strict=True))
        and not any(integers(node, "pads"))
        and set(integers(node, "dilations")) <= {1}
        and not pads_itself(node)
        # Rounded down, there is no window where it is larger than the map.
        and (tuple(sides) == window or integers(node, "ceil_mode", (0,)) == (1,))
    )

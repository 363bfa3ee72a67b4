"""A graph that takes blue, green and red, for images in red, green and blue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.graph.foreign.index import Index, attribute_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["turn_to_rgb"]

_COLOURS = 3


def turn_to_rgb(proto: ModelProto) -> None:
    """Reverse the channels in place: in the first convolution's weight, or before the graph.

    Args:
        proto: images float32[N, 3, H, W] to logits.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    graph = proto.graph
    index = Index(graph)
    name = graph.input[0].name
    first = index.only_reader(name)
    kernel = first.input[1] if first is not None and _is_plain(first) else ""
    weight = index.constant(kernel)
    if weight is not None and index.only_reader(kernel) is not None:
        turned = np.ascontiguousarray(weight[:, ::-1])
        tensor = next(one for one in graph.initializer if one.name == kernel)
        tensor.CopyFrom(numpy_helper.from_array(turned, tensor.name))
        return
    for node in graph.node:
        node.input[:] = [f"{name}/bgr" if one == name else one for one in node.input]
    order = numpy_helper.from_array(np.arange(_COLOURS)[::-1].copy(), f"{name}/order")
    graph.initializer.append(order)
    graph.node.insert(
        0, helper.make_node("Gather", [name, order.name], [f"{name}/bgr"], "input/Gather", axis=1)
    )


def _is_plain(node: NodeProto) -> bool:
    return node.op_type == "Conv" and attribute_of(node, "group", 1) == 1

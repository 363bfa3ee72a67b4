"""Operations that are newer than opset 17, in those of opset 17.

Source: ONNX operators, AveragePool 11 and 19, Gelu 20, Pad and Resize 13, 18 and 19, Split 13 and
18.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["WRITTEN_ANEW", "Surroundings", "drop_attribute"]


class Surroundings:
    """The graph that a node stands in, as it was before anything was written anew."""

    def __init__(self, proto: ModelProto, wiring: Wiring) -> None:
        import onnx

        self.proto, self.wiring = proto, wiring
        graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
        # 0 where a size is dynamic.
        self.sizes: Mapping[str, tuple[int, ...]] = {
            value.name: tuple(one.dim_value for one in value.type.tensor_type.shape.dim)
            for value in (*graph.input, *graph.output, *graph.value_info)
            if value.type.tensor_type.HasField("shape")
        }


def drop_attribute(node: NodeProto, name: str) -> None:
    """Remove an attribute of a node, if it has it."""
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    from onnx import helper

    found = (helper.get_attribute_value(one) for one in node.attribute if one.name == name)
    return next(found, default)


def _refuse(node: NodeProto, what: str) -> ExportError:
    return ExportError(f"{node.name} {what}, which opset 17 can't; export another form of it")


def _average_pool(node: NodeProto, _graph: Surroundings) -> list[NodeProto]:
    if any(one > 1 for one in _attribute(node, "dilations", ())):
        raise _refuse(node, "is a dilated AveragePool")
    drop_attribute(node, "dilations")
    return [node]


def _pad(node: NodeProto, graph: Surroundings) -> list[NodeProto]:
    if _attribute(node, "mode", b"constant") == b"wrap":
        raise _refuse(node, "pads with the other end")
    if len(node.input) < 4 or not node.input[3]:
        return [node]
    pads, axes = (graph.wiring.value(node.input[at]) for at in (1, 3))
    rank = graph.sizes.get(node.input[0])
    if pads is None or axes is None or rank is None:
        raise _refuse(node, "pads axes that are computed")
    ends = np.zeros((2, len(rank)), np.int64)
    ends[:, axes] = pads.reshape(2, -1)
    node.input[1] = _constant(f"{node.name}.pads", ends.reshape(-1), graph)
    del node.input[3:]
    return [node]


def _resize(node: NodeProto, graph: Surroundings) -> list[NodeProto]:
    mode = _attribute(node, "coordinate_transformation_mode", b"half_pixel")
    policy = _attribute(node, "keep_aspect_ratio_policy", b"stretch")
    if _attribute(node, "antialias", 0) or mode == b"half_pixel_symmetric" or policy != b"stretch":
        raise _refuse(node, "is a Resize with antialias, half_pixel_symmetric or a kept ratio")
    axes = _attribute(node, "axes", None)
    if axes is not None:
        _resize_all_axes(node, graph, axes)
    for name in ("antialias", "axes", "keep_aspect_ratio_policy"):
        drop_attribute(node, name)
    return [node]


def _resize_all_axes(node: NodeProto, graph: Surroundings, axes: list[int]) -> None:
    """Give the axes that stay what they have: a scale of 1."""
    before, after = (graph.sizes.get(name) for name in (node.input[0], node.output[0]))
    given = graph.wiring.value(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if before is None or after is None or (given is None and not all(after[at] for at in axes)):
        raise _refuse(node, "resizes axes of sizes that are computed")
    scales = np.ones(len(before), np.float32)
    exact = [after[at] / before[at] for at in axes] if given is None else given.tolist()
    scales[axes] = exact
    del node.input[2:]
    node.input.append(_constant(f"{node.name}.scales", scales, graph))


def _split(node: NodeProto, graph: Surroundings) -> list[NodeProto]:
    count = _attribute(node, "num_outputs", 0)
    drop_attribute(node, "num_outputs")
    if not count or (len(node.input) > 1 and node.input[1]):
        return [node]
    axis = _attribute(node, "axis", 0)
    pieces = [graph.sizes.get(name, ())[axis : axis + 1 or None] for name in node.output]
    if not all(piece and piece[0] for piece in pieces):
        raise _refuse(node, "splits an axis whose size is computed")
    lengths = np.array([piece[0] for piece in pieces], np.int64)
    del node.input[1:]
    node.input.append(_constant(f"{node.name}.split", lengths, graph))
    return [node]


def _gelu(node: NodeProto, graph: Surroundings) -> list[NodeProto]:
    from onnx import helper

    x = node.input[0]
    nodes: list[NodeProto] = []

    def step(kind: str, *inputs: str | float, output: str | None = None) -> str:
        output = output or f"{node.name}.{kind}_{len(nodes)}"
        names = [one if isinstance(one, str) else _scalar(one, graph) for one in inputs]
        nodes.append(helper.make_node(kind, names, [output], name=output))
        return output

    if any(item.name == "approximate" and item.s == b"tanh" for item in node.attribute):
        cube = step("Mul", step("Pow", x, 3.0), 0.044715)
        inner = step("Tanh", step("Mul", step("Add", x, cube), math.sqrt(2 / math.pi)))
        step("Mul", step("Mul", x, 0.5), step("Add", inner, 1.0), output=node.output[0])
    else:
        inner = step("Erf", step("Div", x, math.sqrt(2)))
        step("Mul", step("Mul", x, step("Add", inner, 1.0)), 0.5, output=node.output[0])
    return nodes


def _scalar(value: float, graph: Surroundings) -> str:
    """One scalar for all that need it."""
    from onnx import numpy_helper

    name = f"gelu.{value:.6g}"
    if all(tensor.name != name for tensor in graph.proto.graph.initializer):
        scalar = np.asarray(value, np.float32)
        graph.proto.graph.initializer.append(numpy_helper.from_array(scalar, name))
    return name


def _constant(name: str, value: NDArray[Any], graph: Surroundings) -> str:
    from onnx import numpy_helper

    graph.proto.graph.initializer.append(numpy_helper.from_array(value, name))
    return name


# By operation, what writes one of its nodes in those of opset 17.
WRITTEN_ANEW: Mapping[str, Callable[[NodeProto, Surroundings], list[NodeProto]]] = {
    "AveragePool": _average_pool,
    "Gelu": _gelu,
    "Pad": _pad,
    "Resize": _resize,
    "Split": _split,
}

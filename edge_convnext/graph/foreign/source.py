"""A user's graph from `images` to `logits`, its operations as they are: the truth of all parity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.graph.file import copy_message
from edge_convnext.graph.foreign.index import drop_unused, rename_values

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.foreign.entrance import Entrance, Scale
    from edge_convnext.graph.foreign.exit import Exit

__all__ = ["bare_graph", "fix_input", "keep_inputs", "source_graph", "with_outputs"]

_FLOAT, _UINT8 = 1, 2
_TO_NHWC = (0, 2, 3, 1)
_IR_VERSION = 10


def keep_inputs(proto: ModelProto) -> None:
    """Weights that are inputs too, as before version 4 of the format, are weights alone."""
    graph = proto.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [copy_message(one) for one in graph.input if one.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
    proto.ir_version = _IR_VERSION


def fix_input(proto: ModelProto, shape: tuple[int | str, ...]) -> None:
    """State the sizes of the input; shapes of other values are not kept."""
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    del dims[:]
    for size in shape:
        if isinstance(size, str):
            dims.add(dim_param=size)
        else:
            dims.add(dim_value=size)
    proto.graph.ClearField("value_info")


def with_outputs(proto: ModelProto, names: tuple[str, ...]) -> ModelProto:
    """A copy that gives these values, of whatever type and shape they turn out to have."""
    made: ModelProto = copy_message(proto)
    del made.graph.output[:]
    for name in names:
        made.graph.output.add(name=name)
    return made


def source_graph(
    proto: ModelProto, entrance: Entrance, leaves: Exit, shape: tuple[int, int, int | None]
) -> ModelProto:
    """The graph with operations in front that turn `images` into what it takes.

    Args:
        proto: Graph as it came, its inputs as `keep_inputs` leaves them.
        entrance: Input of the graph.
        leaves: Place of the logits.
        shape: Height and width, and the batch; None: any.

    Returns:
        images float32[N, C, H, W], normalised as `entrance.scale` says, to logits
        float32[N, classes].
    """
    made = _begin(proto, leaves)
    rename_values(made.graph, lambda name: f"own/{name}")
    front, last = _front(entrance)
    _join(made, front, last, f"own/{entrance.name}")
    _finish(made, entrance, leaves, shape)
    return made


def bare_graph(
    proto: ModelProto, entrance: Entrance, leaves: Exit, shape: tuple[int, int, int | None]
) -> ModelProto:
    """As `source_graph`, without the normalisation at its beginning, for `canonical`."""
    made = _begin(proto, leaves)
    rename_values(made.graph, lambda name: f"own/{name}")
    front, last = [], "images"
    if entrance.start_nhwc:
        last = "images/nhwc"
        front = [_node("Transpose", ["images"], last, perm=_TO_NHWC)]
    _join(made, front, last, f"own/{entrance.start}")
    _finish(made, entrance, leaves, shape)
    return made


def _begin(proto: ModelProto, leaves: Exit) -> ModelProto:
    made = with_outputs(proto, (leaves.logits,))
    made.ClearField("metadata_props")
    made.ClearField("functions")
    standard = [copy_message(one) for one in made.opset_import if one.domain in ("", "ai.onnx")][:1]
    del made.opset_import[:]
    made.opset_import.extend(standard)
    return made


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    import onnx

    return onnx.helper.make_node(kind, inputs, [output], **attributes)


def _front(entrance: Entrance) -> tuple[list[Any], str]:
    """Operations, and weights, from normalised images to the graph's own input."""
    parts: list[Any] = []
    value = "images"
    if entrance.scale is not None:
        parts += _denormalise(entrance.scale)
        value = "images/pixels"
    if entrance.uint8:
        parts += [
            _tensor("images/half", np.float32(0.5)),
            _node("Add", [value, "images/half"], "images/raised"),
            _node("Floor", ["images/raised"], "images/rounded"),  # Round begins with opset 11
            _node("Cast", ["images/rounded"], "images/bytes", to=_UINT8),
        ]
        value = "images/bytes"
    if entrance.nhwc:
        parts.append(_node("Transpose", [value], "images/nhwc", perm=_TO_NHWC))
        value = "images/nhwc"
    return parts, value


def _denormalise(scale: Scale) -> list[Any]:
    unit = 255.0 if scale.of_bytes else 1.0
    shape = (1, len(scale.mean), 1, 1)
    numbers = [unit * np.array(one).reshape(shape) for one in (scale.std, scale.mean)]
    return [
        _tensor("images/std", numbers[0]),
        _tensor("images/mean", numbers[1]),
        _node("Mul", ["images", "images/std"], "images/scaled"),
        _node("Add", ["images/scaled", "images/mean"], "images/pixels"),
    ]


def _tensor(name: str, values: NDArray[Any] | np.float32) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def _join(made: ModelProto, parts: list[Any], last: str, first: str) -> None:
    """Put operations in front, and let who read `first` read `last`."""
    import onnx

    graph = made.graph
    for node in graph.node:
        node.input[:] = [last if name == first else name for name in node.input]
    for one in graph.output:
        one.name = last if one.name == first else one.name
    nodes = [one for one in parts if isinstance(one, onnx.NodeProto)]
    graph.initializer.extend(one for one in parts if not isinstance(one, onnx.NodeProto))
    behind = [copy_message(one) for one in graph.node]
    del graph.node[:]
    graph.node.extend((*nodes, *behind))


def _finish(
    made: ModelProto, entrance: Entrance, leaves: Exit, shape: tuple[int, int, int | None]
) -> None:
    """Name and type both ends."""
    import onnx

    graph = made.graph
    height, width, batch = shape
    value = graph.output[0].name
    last = _node("Identity" if leaves.flat else "Flatten", [value], "logits")
    graph.node.append(last)
    rows = "batch" if batch is None else batch
    del graph.input[:], graph.output[:]
    images = (rows, entrance.channels, height, width)
    graph.input.append(onnx.helper.make_tensor_value_info("images", _FLOAT, images))
    graph.output.append(
        onnx.helper.make_tensor_value_info("logits", _FLOAT, (rows, leaves.classes))
    )
    graph.name = "edge_convnext"
    drop_unused(graph)

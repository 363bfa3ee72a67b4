"""From an ONNX graph of a build to the bytes of a LiteRT model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.file import copy_message
from edge_convnext.graph.tflite.operations.table import WRITERS
from edge_convnext.graph.tflite.values import Constant, Value, identity
from edge_convnext.graph.tflite.writing import Writing, refuse
from edge_convnext.graph.tflite_operations import unwritable_nodes

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["to_tflite"]

_FLOAT = 1  # of TensorProto
_CHANNELS_LAST = (0, 3, 1, 2)  # where ONNX's axes of [N, C, H, W] lie in [N, H, W, C]


def to_tflite(proto: ModelProto) -> bytes:
    """Write a graph for LiteRT.

    It takes images float32[N, H, W, C], with the channels last as Android's buffers have them, and
    gives logits float32[N, classes]. Between a pair of Q/DQ and constant int8 weights a product
    becomes one of dynamic range; other Q/DQ of activations is left out.

    Args:
        proto: ONNX graph, float or with Q/DQ: images float32[N, C, H, W] to logits.

    Raises:
        ExportError: It has an operation that this can't write; the message names the first.
        MissingDependencyError: ai-edge-litert is not installed.
    """
    from onnx import numpy_helper

    graph = proto.graph
    for node in unwritable_nodes(proto):
        raise refuse(node, "it is not among those that are written")
    shapes = _shapes_of_one_image(proto)
    images = next(one for one in graph.input if one.name not in _constants(proto))
    shape = shapes[images.name]
    if images.type.tensor_type.elem_type != _FLOAT or len(shape) != 4:
        raise ExportError(
            f"{images.name}: LiteRT's graph is written for float32 images [N, C, H, W]; build "
            "without --input uint8"
        )
    writing = Writing(graph, shapes)
    for tensor in graph.initializer:
        writing.values[tensor.name] = Constant(numpy_helper.to_array(tensor))
    made = Value(-1, shape, _CHANNELS_LAST)
    tensor_index = writing.program.input(images.name, made.lies)
    writing.values[images.name] = Value(tensor_index, shape, _CHANNELS_LAST)
    for node in graph.node:
        if node.output[0] not in writing.done:
            WRITERS[node.op_type](writing, node)
    logits = writing.values[graph.output[0].name]
    if not isinstance(logits, Value):
        raise ExportError(f"{graph.output[0].name}: does not depend on the images")
    laid = writing.laid(logits, identity(len(logits.shape)), graph.output[0].name)
    return writing.program.to_bytes(laid.tensor, f"{proto.graph.name}, by edge-convnext")


def _constants(proto: ModelProto) -> set[str]:
    return {tensor.name for tensor in proto.graph.initializer}


def _shapes_of_one_image(proto: ModelProto) -> dict[str, tuple[int, ...]]:
    """Shape of every value whose size is known, of a batch of one."""
    import onnx

    single = copy_message(proto)
    for value in (*single.graph.input, *single.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        if not first.HasField("dim_value"):
            first.dim_value = 1
    del single.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(single, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        sizes = value.type.tensor_type.shape.dim
        if all(size.HasField("dim_value") for size in sizes):
            shapes[value.name] = tuple(int(size.dim_value) for size in sizes)
    return shapes

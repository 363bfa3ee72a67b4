"""uint8 images: let a graph take a camera's or decoder's pixels and normalise them itself.

A float32 image has four times the bytes to copy to a device, and the application has to compute
it. In the graph, one multiplication and one addition per channel follow the cast that uint8 needs
anyway. TensorRT makes one kernel of the three.

The normalisation is not folded into the stem's weights, although its convolution has no padding
and would allow it. Pixels are all positive, so a float16 stem would sum large numbers that cancel.
On a trained atto the fold costs the float16 logits 25 dB (63 instead of 88) and saves no kernel.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from edge_convnext.core.artifacts import ModelInfo
from edge_convnext.core.errors import ExportError
from edge_convnext.core.files import AnyPath
from edge_convnext.graph.file import read_proto, set_facts, write_proto

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto

    from edge_convnext.core.artifacts import OnnxModel, Preprocess

__all__ = [
    "FrontStep",
    "ImageLayout",
    "find_affine",
    "put_in_front",
    "use_uint8_images",
    "write_for_pixels",
]

FrontStep: TypeAlias = tuple[str, list[str], dict[str, Any]]  # see `put_in_front`
ImageLayout = Literal["nhwc", "nchw"]  # interleaved, as decoders and cameras give it, or planar


def use_uint8_images(model: OnnxModel, output: AnyPath, layout: ImageLayout = "nhwc") -> OnnxModel:
    """Make a graph take pixels instead of normalised values.

    The images are RGB, or grey if the model has one channel. They are already resized and cropped
    as the model's metadata states. The new graph's metadata has `images_type` and
    `images_layout`, so that an application can find out what to pass.

    Args:
        model: An FP32 graph, or an INT8 graph with a float32 body, with this package's metadata;
            its input is float32[N, C, H, W].
        output: The file to write the graph to.
        layout: Layout of the pixels. `nhwc` is uint8[N, H, W, C], as OpenCV, Pillow and GStreamer
            give a decoded frame; it costs one transpose of bytes on the device. `nchw` is
            uint8[N, C, H, W].

    Returns:
        The graph; its logits are those for images that `data.preprocess.normalise` made.

    Raises:
        ExportError: The images are not float32, or have more channels than their mean.
        ArtifactError: The file is missing, not ONNX, or without metadata.

    Source:
        TensorRT, operators.md of onnx-tensorrt: uint8 is a type of network inputs, to be cast
        before anything else.
    """
    return write_for_pixels(model, output, layout, partial(_rewrite, layout=layout))


def write_for_pixels(
    model: OnnxModel,
    output: AnyPath,
    layout: ImageLayout,
    rewrite: Callable[[ModelProto, ModelInfo], None],
) -> OnnxModel:
    """Write a graph that takes uint8 pixels, and check it.

    Args:
        model: Graph whose images are float32.
        output: The file to write.
        layout: Layout of the pixels.
        rewrite: Changes the graph so that it normalises pixels itself; its input's type and layout
            are changed here.

    Raises:
        ExportError: The images are not float32, or `rewrite` refuses the graph.
        ArtifactError: The file is missing, not ONNX, or without metadata.
    """
    output = Path(output)
    import onnx

    proto = read_proto(model.path)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    info = ModelInfo.from_metadata(metadata, model.path)
    (images,) = proto.graph.input
    kind = images.type.tensor_type
    if kind.elem_type != onnx.TensorProto.FLOAT:
        found = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
        raise ExportError(
            f"{model.path}: {images.name} is {found}; pass a graph whose images are float32"
        )
    try:
        rewrite(proto, info)
    except ExportError as error:
        raise ExportError(f"{model.path}: {error}") from None
    if layout == "nhwc":
        batch, channels, *map_axes = kind.shape.dim
        ordered = [batch, *map_axes, channels]
        kind.shape.ClearField("dim")
        kind.shape.dim.extend(ordered)
    kind.elem_type = onnx.TensorProto.UINT8
    proto.graph.ClearField("value_info")
    set_facts(proto, images_type="uint8", images_layout=layout)
    onnx.checker.check_model(proto, full_check=True)
    write_proto(proto, output)
    return replace(model, path=output)


def _rewrite(proto: ModelProto, info: ModelInfo, layout: ImageLayout) -> None:
    from onnx import TensorProto, numpy_helper

    (images,) = proto.graph.input
    scale, shift = find_affine(info.preprocess, info.in_channels)
    rank = 1 if layout == "nhwc" else 3  # rank of a constant: [C] or [C, 1, 1]
    for name, row in (("images.scale", scale), ("images.shift", shift)):
        value = row.astype(np.float32).reshape(-1, *[1] * (rank - 1))
        proto.graph.initializer.append(numpy_helper.from_array(value, name))
    steps: list[FrontStep] = [
        ("Cast", [], {"to": TensorProto.FLOAT}),
        ("Mul", ["images.scale"], {}),
        ("Add", ["images.shift"], {}),
    ]
    if layout == "nhwc":
        steps.append(("Transpose", [], {"perm": [0, 3, 1, 2]}))
    put_in_front(proto, images.name, images.name, steps)


def put_in_front(proto: ModelProto, source: str, images: str, steps: Sequence[FrontStep]) -> None:
    """Let a graph read its images through operations, one behind the other.

    Args:
        proto: Graph; changed in place.
        source: Input that the first operation reads; they are named after it.
        images: Name by which the graph reads its images.
        steps: Type, further inputs and attributes of each operation.
    """
    from onnx import helper

    nodes, values = [], source
    for operation, more, attributes in steps:
        name = f"{source}/{operation}"
        nodes.append(helper.make_node(operation, [values, *more], [name], name=name, **attributes))
        values = name
    rest = list(proto.graph.node)
    for node in rest:
        node.input[:] = [values if name == images else name for name in node.input]
    del proto.graph.node[:]
    proto.graph.node.extend([*nodes, *rest])


def find_affine(
    preprocess: Preprocess, channels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each channel's scale and shift: pixel * scale + shift is the normalised value."""
    mean, std = np.array(preprocess.mean, np.float64), np.array(preprocess.std, np.float64)
    if channels == 1:  # as `data.preprocess.normalise` does
        mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
    elif channels != len(mean):
        raise ExportError(
            f"the model has {channels} channels and its preprocessing {len(mean)}; "
            "uint8 images are for RGB and grey models"
        )
    return 1 / (255 * std), -mean / std

"""uint8 images: the pixels of a camera or a decoder as they are, normalised inside the graph.

A float32 image is four times the bytes to copy to a device, and somebody has to compute it.
The stem is a convolution without padding, so that dividing by 255, subtracting the mean and
dividing by the standard deviation are nothing but other weights and another bias for it:

    w (p / 255 - mean) / std + b = (w / (255 std)) p + (b - w mean / std)

Where the stem is quantized that would change what its quantizer was calibrated on; the same
arithmetic is then written out before it, one multiplication and one addition.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edge_convnext.artifacts import ModelInfo
from edge_convnext.errors import ExportError
from edge_convnext.graph_file import read_proto, set_facts, write_proto

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from edge_convnext.artifacts import OnnxModel, Preprocess
    from edge_convnext.qdq import Wiring

__all__ = ["ImageLayout", "use_uint8_images"]

ImageLayout = Literal["nhwc", "nchw"]  # interleaved, as decoders and cameras give it; planar


def use_uint8_images(model: OnnxModel, output: Path, layout: ImageLayout = "nhwc") -> OnnxModel:
    """Make a graph take pixels instead of normalised values.

    The images are RGB, or grey where the model has one channel, already resized and cropped as
    the model's metadata says. The metadata of the new graph has `images_type` and
    `images_layout`, so that whoever feeds it can tell.

    Args:
        model: FP32, or INT8 with a float32 body, with this package's metadata; its input is
            float32[N, C, H, W].
        output: Where the graph goes.
        layout: `nhwc` for uint8[N, H, W, C], which a decoded frame is and OpenCV, Pillow and
            GStreamer hand over, and costs one transpose of bytes on the device; `nchw` for
            uint8[N, C, H, W].

    Returns:
        The graph; logits are as before, up to the rounding of the stem's weights.

    Raises:
        ExportError: The images are not float32, or are read by several operations.
        ArtifactError: Missing, not ONNX, or without metadata.

    Source:
        TensorRT, operators.md of onnx-tensorrt: uint8 is a type of network inputs, to be cast
        before anything else.
    """
    import onnx

    proto = read_proto(model.path)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    info = ModelInfo.from_metadata(metadata, model.path)
    try:
        _rewrite(proto, info, layout)
    except ExportError as error:
        raise ExportError(f"{model.path}: {error}") from None
    set_facts(proto, images_type="uint8", images_layout=layout)
    onnx.checker.check_model(proto, full_check=True)
    write_proto(proto, output)
    return replace(model, path=output)


def _rewrite(proto: ModelProto, info: ModelInfo, layout: ImageLayout) -> None:
    from onnx import TensorProto, helper

    from edge_convnext.qdq import Wiring

    (images,) = proto.graph.input
    kind = images.type.tensor_type
    wiring = Wiring(proto)
    readers = wiring.readers.get(images.name, [])
    if kind.elem_type != TensorProto.FLOAT or len(readers) != 1:
        found = TensorProto.DataType.Name(kind.elem_type).lower()
        raise ExportError(
            f"{images.name} is {found} and has {len(readers)} readers; pass a float32 graph of "
            "this package, whose images go into the stem alone"
        )
    (stem,) = readers
    scale, shift = _find_affine(info.preprocess, info.in_channels)
    values = f"{images.name}.float32"
    nodes = [helper.make_node("Cast", [images.name], [values], name=values, to=TensorProto.FLOAT)]
    if layout == "nhwc":
        batch, *map_axes = kind.shape.dim
        ordered = [batch, *map_axes[1:], map_axes[0]]
        kind.shape.ClearField("dim")
        kind.shape.dim.extend(ordered)
        planar = f"{images.name}/Transpose"
        turn = helper.make_node("Transpose", [values], [planar], name=planar, perm=[0, 3, 1, 2])
        nodes.append(turn)
        values = planar
    kind.elem_type = TensorProto.UINT8
    if _can_fold(stem, wiring):
        _fold(proto, wiring, stem, scale, shift)
    else:
        nodes += _write_out(proto, values, scale, shift)
        values = nodes[-1].output[0]
    stem.input[0] = values
    rest = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([*nodes, *rest])
    proto.graph.ClearField("value_info")


def _find_affine(
    preprocess: Preprocess, channels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and shift of each channel: pixel * scale + shift is what the network was given."""
    mean, std = np.array(preprocess.mean, np.float64), np.array(preprocess.std, np.float64)
    if channels == 1:  # as `data.preprocess.normalise` does
        mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
    elif channels != len(mean):
        raise ExportError(
            f"the model has {channels} channels and its preprocessing {len(mean)}; "
            "uint8 images are for RGB and grey models"
        )
    return 1 / (255 * std), -mean / std


def _can_fold(stem: NodeProto, wiring: Wiring) -> bool:
    """Whether this is a float convolution all of whose taps lie inside of the image."""
    if stem.op_type != "Conv" or stem.input[1] not in wiring.constants:
        return False
    attributes = {item.name: item for item in stem.attribute}
    pads = attributes["pads"].ints if "pads" in attributes else ()
    automatic = attributes["auto_pad"].s if "auto_pad" in attributes else b"NOTSET"
    groups = attributes["group"].i if "group" in attributes else 1
    biases = [name in wiring.constants for name in stem.input[2:]]
    return not any(pads) and automatic in (b"NOTSET", b"VALID") and groups == 1 and all(biases)


def _fold(
    proto: ModelProto,
    wiring: Wiring,
    stem: NodeProto,
    scale: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> None:
    from onnx import numpy_helper

    from edge_convnext.qdq import drop_unread_constants

    weight = np.asarray(wiring.value(stem.input[1]), np.float64)  # [out, in, kh, kw]
    bias: Any = wiring.value(stem.input[2]) if len(stem.input) > 2 else 0.0
    fresh = {
        f"{stem.name}.uint8_weight": weight * scale[:, None, None],
        f"{stem.name}.uint8_bias": bias + (weight * shift[:, None, None]).sum(axis=(1, 2, 3)),
    }
    for name, value in fresh.items():
        proto.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
    stem.input[1:] = list(fresh)
    drop_unread_constants(proto)


def _write_out(
    proto: ModelProto, values: str, scale: NDArray[np.float64], shift: NDArray[np.float64]
) -> list[NodeProto]:
    from onnx import helper, numpy_helper

    nodes = []
    for kind, part, constant in (("Mul", "scale", scale), ("Add", "shift", shift)):
        name, result = f"images.{part}", f"images/{kind}"
        row = constant.astype(np.float32)[:, None, None]
        proto.graph.initializer.append(numpy_helper.from_array(row, name))
        nodes.append(helper.make_node(kind, [values, name], [result], name=result))
        values = result
    return nodes

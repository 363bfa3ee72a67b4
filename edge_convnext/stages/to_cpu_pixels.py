"""Pixels for a CPU: a graph takes uint8 as it was decoded, and its first convolution scales them.

`to_uint8_images` does the same for GPUs, in float32. Runtimes on a CPU compute in bfloat16 where
that is faster: eight bits, which hold every pixel from 0 to 255 exactly, and its difference to a
whole number too. So the mean, rounded to a whole number, is subtracted from the pixels. What the
rounding left, and the deviation, go into the first convolution's constants. There they are rounded
like any weight, and large positive numbers cancel nowhere.

A first operation that is no convolution of constants, or that pads its input, gets normalised
images: exact in float32, and as exact as bfloat16 is elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.files import AnyPath
from edge_convnext.core.step import Stage
from edge_convnext.stages.to_uint8_images import (
    FrontStep,
    find_affine,
    put_in_front,
    write_for_pixels,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from edge_convnext.core.artifacts import ModelInfo, OnnxModel
    from edge_convnext.graph.qdq import Wiring

__all__ = ["STAGE", "use_cpu_pixels"]

STAGE = Stage("pixels", 1, ("numpy", "onnx", "onnxruntime"), max_error=1e-3)
_LAST = [0, 3, 1, 2]  # [N, H, W, C] -> [N, C, H, W]


def use_cpu_pixels(model: OnnxModel, output: AnyPath) -> OnnxModel:
    """Make a graph for a CPU take pixels, uint8[N, H, W, C], instead of normalised values.

    The images are RGB, or grey if the model has one channel, resized and cropped as the model's
    metadata states. The new graph's metadata has `images_type` and `images_layout`.

    Args:
        model: An FP32 graph, or an INT8 graph with a float32 body, with this package's metadata;
            its input is float32[N, C, H, W].
        output: The file to write the graph to.

    Returns:
        The graph; its logits are those for images that `data.preprocess.normalise` made.

    Raises:
        ExportError: The images are not float32, or have more channels than their mean.
        ArtifactError: The file is missing, not ONNX, or without metadata.
    """
    return write_for_pixels(model, output, "nhwc", _rewrite)


def _rewrite(proto: ModelProto, info: ModelInfo) -> None:
    from onnx import TensorProto, numpy_helper

    from edge_convnext.graph.qdq import Wiring, drop_unread_constants

    (images,) = proto.graph.input
    scale, shift = find_affine(info.preprocess, info.in_channels)
    mean = -shift / scale  # of pixels, 0 to 255
    wiring = Wiring(proto)
    readers = wiring.readers.get(images.name, [])
    folded = bool(readers) and all(_takes(wiring, node, images.name) for node in readers)
    whole = np.rint(mean) if folded else mean
    rows = {"images.mean": whole, **({} if folded else {"images.scale": scale})}
    for name, row in rows.items():
        proto.graph.initializer.append(numpy_helper.from_array(row.astype(np.float32), name))
    steps: list[FrontStep] = [
        ("Cast", [], {"to": TensorProto.FLOAT}),
        ("Sub", ["images.mean"], {}),
        *([] if folded else [("Mul", ["images.scale"], {})]),
        ("Transpose", [], {"perm": _LAST}),
    ]
    for node in readers if folded else ():
        _fold(proto, wiring, node, scale, whole - mean)
    put_in_front(proto, images.name, images.name, steps)
    drop_unread_constants(proto)


def _takes(wiring: Wiring, node: NodeProto, images: str) -> bool:
    """Whether a reader of the images can take in their normalisation, exactly."""
    if node.op_type != "Conv" or node.input[0] != images or len(node.input) < 3:
        return False
    if any(name not in wiring.constants for name in node.input[1:]):
        return False
    facts = {one.name: one for one in node.attribute}
    pads = facts["pads"].ints if "pads" in facts else ()
    padded = any(pads) or ("auto_pad" in facts and facts["auto_pad"].s != b"NOTSET")
    return not padded and ("group" not in facts or facts["group"].i == 1)


def _fold(
    proto: ModelProto,
    wiring: Wiring,
    node: NodeProto,
    scale: NDArray[np.float64],
    rest: NDArray[np.float64],
) -> None:
    """Let a convolution read pixels less `mean + rest`, both of them by channel."""
    from onnx import numpy_helper

    weight, bias = (wiring.value(name) for name in node.input[1:3])
    assert weight is not None  # `_takes` looked
    assert bias is not None
    scaled = weight.astype(np.float64) * scale.reshape(1, -1, 1, 1)
    moved = bias + (scaled * rest.reshape(1, -1, 1, 1)).sum(axis=(1, 2, 3))
    for position, value in ((1, scaled), (2, moved)):
        name = f"{node.name}.pixels_{position}"
        proto.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
        node.input[position] = name

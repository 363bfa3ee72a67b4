"""Float pixels: a graph that takes RGB of 0 to 255 as float32 and answers with probabilities.

That is what DeepStream's nvinfer passes and expects: it multiplies all channels by one number, so
that a mean and a deviation of each channel have to be in the graph, and its classifier compares
what comes out with a threshold between 0 and 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.errors import ExportError
from edge_convnext.stages.to_uint8_images import FrontStep, find_affine, put_in_front

if TYPE_CHECKING:
    from onnx import ModelProto

    from edge_convnext.core.artifacts import ModelInfo

__all__ = ["PIXELS", "PROBABILITIES", "use_float_pixels"]

PIXELS, PROBABILITIES = "rgb_pixels", "class_probabilities"  # names of the new input and output


def use_float_pixels(proto: ModelProto, info: ModelInfo, images_layout: str | None = None) -> None:
    """Put the normalisation before a graph, and a Softmax behind it.

    Args:
        proto: Graph of a build for a GPU, float or with Q/DQ: images float32, float16 or uint8 to
            logits float32 or float16. It is changed in place: float32[N, C, H, W] to
            float32[N, classes].
        info: Facts of the model.
        images_layout: `nhwc` or `nchw`, of images that are uint8.

    Raises:
        ExportError: The model has more channels than its mean, or other images.
    """
    from onnx import TensorProto, helper, numpy_helper

    (images,), (logits,) = proto.graph.input, proto.graph.output
    kind = images.type.tensor_type
    whole = kind.elem_type == TensorProto.UINT8
    if not whole and kind.elem_type not in (TensorProto.FLOAT, TensorProto.FLOAT16):
        found = TensorProto.DataType.Name(kind.elem_type).lower()
        raise ExportError(f"{images.name} is {found}; pass a graph that a build wrote for a GPU")
    last = whole and images_layout == "nhwc"
    sizes = list(kind.shape.dim)
    ordered = [sizes[0], sizes[3], sizes[1], sizes[2]] if last else sizes
    steps: list[FrontStep] = []
    if not whole:
        for name, row in zip(("scale", "shift"), find_affine(info.preprocess, info.in_channels),
                             strict=True):  # fmt: skip
            value = row.astype(np.float32).reshape(-1, 1, 1)
            proto.graph.initializer.append(numpy_helper.from_array(value, f"{PIXELS}.{name}"))
        steps += [("Mul", [f"{PIXELS}.scale"], {}), ("Add", [f"{PIXELS}.shift"], {})]
    if kind.elem_type != TensorProto.FLOAT:
        steps.append(("Cast", [], {"to": kind.elem_type}))
    if last:
        steps.append(("Transpose", [], {"perm": [0, 2, 3, 1]}))
    put_in_front(proto, PIXELS, images.name, steps)
    pixels = helper.make_tensor_value_info(PIXELS, TensorProto.FLOAT, None)
    pixels.type.tensor_type.shape.dim.extend(ordered)
    answers = helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, None)
    answers.type.tensor_type.shape.dim.extend(logits.type.tensor_type.shape.dim)
    behind, scores = [], logits.name
    if logits.type.tensor_type.elem_type != TensorProto.FLOAT:
        scores = f"{PROBABILITIES}/Cast"
        behind.append(
            helper.make_node("Cast", [logits.name], [scores], name=scores, to=TensorProto.FLOAT)
        )
    behind.append(
        helper.make_node(
            "Softmax", [scores], [PROBABILITIES], name=f"{PROBABILITIES}/Softmax", axis=-1
        )
    )
    proto.graph.node.extend(behind)
    del proto.graph.input[:], proto.graph.output[:]
    proto.graph.input.append(pixels)
    proto.graph.output.append(answers)
    proto.graph.ClearField("value_info")

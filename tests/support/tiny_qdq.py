"""One quantized operation, good or broken in one way: what lint and the Q/DQ passes work on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto, NodeProto

CHANNELS = 8


class Builder:
    """Nodes and constants of a graph that is written down step by step."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, value: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        node = helper.make_node(kind, inputs, [output], name=f"{output}/{kind}", **attributes)
        self.nodes.append(node)
        return output

    def model(self, inputs: Mapping[str, list[Any]], output: str, rank: int) -> ModelProto:
        shapes = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in inputs.items()
        ]
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * rank)
        graph = helper.make_graph(self.nodes, "tiny", shapes, [result], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        return model


def quantized_product(
    kind: str = "MatMul",
    activation: type = np.int8,
    activation_zero: int = 0,
    activation_scales: int = 1,
    weight: type = np.int8,
    weight_zero: int = 0,
    *,
    quantize_input: bool = True,
    quantize_bias: bool = False,
    bias_rank: int = 2,
    groups: int = 1,
) -> ModelProto:
    """MatMul + Add over [1, 4, 4, C], or Conv over [1, C, 4, 4], with Q/DQ around its inputs."""
    random = np.random.default_rng(0)
    build = Builder()
    images = "images"
    if quantize_input:
        shape = () if activation_scales == 1 else (activation_scales,)
        parameters = [
            build.constant("scale", np.full(shape, 0.02, np.float32)),
            build.constant("zero_point", np.full(shape, activation_zero, activation)),
        ]
        axis = {} if activation_scales == 1 else {"axis": 1 if kind == "Conv" else 3}
        images = build.node("QuantizeLinear", [images, *parameters], "q", **axis)
        images = build.node("DequantizeLinear", [images, *parameters], "dq", **axis)
    shape = (CHANNELS, CHANNELS // groups, 1, 1) if kind == "Conv" else (CHANNELS, CHANNELS)
    weights = [
        build.constant("weight", random.integers(0, 127, shape).astype(weight)),
        build.constant("weight_scale", np.full(CHANNELS, 0.01, np.float32)),
        build.constant("weight_zero", np.full(CHANNELS, weight_zero, weight)),
    ]
    weights_axis = 0 if kind == "Conv" else 1
    loaded = build.node("DequantizeLinear", weights, "weights", axis=weights_axis)
    if quantize_bias:
        bias = [
            build.constant("bias_q", random.integers(-99, 99, CHANNELS).astype(np.int32)),
            build.constant("bias_scale", np.full(CHANNELS, 2e-4, np.float32)),
        ]
        added = build.node("DequantizeLinear", bias, "bias", axis=0)
    else:
        values = random.standard_normal(CHANNELS).astype(np.float32)
        flat = kind == "Conv" or bias_rank == 1
        added = build.constant("bias", values if flat else values[None])
    if kind == "Conv":
        result = build.node("Conv", [images, loaded, added], "product", group=groups)
    else:
        product = build.node("MatMul", [images, loaded], "product")
        result = build.node("Add", [product, added], "sum")
    channels_first = [1, CHANNELS, 4, 4]
    shape_in = channels_first if kind == "Conv" else [1, 4, 4, CHANNELS]
    return build.model({"images": shape_in}, result, 4)

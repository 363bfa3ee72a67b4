"""Graphs written node by node, for tests of what is read off a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


def draw(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def write(
    nodes: Sequence[tuple[Any, ...]],
    constants: Mapping[str, NDArray[Any]],
    images: Sequence[int | str] = (1, 3, 8, 8),
) -> onnx.ModelProto:
    """A graph from `(type, inputs, output, attributes?)`; a node is named after its output.

    Its output is that of the last node, of any shape.
    """
    made = [
        helper.make_node(kind, list(inputs), [output], name=output, **(rest[0] if rest else {}))
        for kind, inputs, output, *rest in nodes
    ]
    graph = helper.make_graph(
        made,
        "written",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, list(images))],
        [helper.make_tensor_value_info(made[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    known = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    proto.graph.output[0].CopyFrom(known.graph.output[0])
    return proto


def excited() -> onnx.ModelProto:
    """A convolution, squeeze and excitation, a residual block, a classifier."""
    constants = {
        "w1": draw(8, 3, 3, 3),
        "w2": draw(4, 8, 1, 1, seed=1),
        "w3": draw(8, 4, 1, 1, seed=2),
        "w4": draw(8, 1, 3, 3, seed=3),
        "w5": draw(5, 8, seed=4),
        "low": np.float32(0),
        "high": np.float32(6),
    }
    pads = {"pads": [1, 1, 1, 1]}
    return write(
        [
            ("Conv", ("images", "w1"), "stem", pads),
            ("Clip", ("stem", "low", "high"), "relu6"),
            ("GlobalAveragePool", ("relu6",), "squeezed"),
            ("Conv", ("squeezed", "w2"), "reduce"),
            ("Relu", ("reduce",), "reduced"),
            ("Conv", ("reduced", "w3"), "expand"),
            ("HardSigmoid", ("expand",), "factor"),
            ("Mul", ("relu6", "factor"), "scaled"),
            ("Conv", ("scaled", "w4"), "window", {**pads, "group": 8}),
            ("Add", ("window", "scaled"), "sum"),
            ("GlobalAveragePool", ("sum",), "pool"),
            ("Flatten", ("pool",), "flat"),
            ("Gemm", ("flat", "w5"), "logits", {"transB": 1}),
        ],
        constants,
    )


def branched() -> onnx.ModelProto:
    """ReLU6, a MaxPool, SiLU, a residual sum, a Concat of two convolutions, a classifier."""
    constants = {
        "w1": draw(8, 3, 3, 3),
        "w2": draw(8, 8, 1, 1, seed=1),
        "w3": draw(8, 8, 1, 1, seed=2),
        "w4": draw(6, 8, 1, 1, seed=3),
        "w5": draw(6, 4, 3, 3, seed=4),
        "w6": draw(5, 12, seed=5),
        "b6": draw(5, seed=6),
        "low": np.float32(0),
        "high": np.float32(6),
    }
    pads = {"pads": [1, 1, 1, 1]}
    return write(
        [
            ("Conv", ("images", "w1"), "stem", pads),
            ("Clip", ("stem", "low", "high"), "relu6"),
            ("MaxPool", ("relu6",), "pooled", {"kernel_shape": [2, 2], "strides": [2, 2]}),
            ("Conv", ("pooled", "w2"), "one"),
            ("Sigmoid", ("one",), "gate"),
            ("Mul", ("one", "gate"), "silu"),
            ("Conv", ("silu", "w3"), "two"),
            ("Add", ("two", "pooled"), "sum"),
            ("Conv", ("sum", "w4"), "left"),
            ("Conv", ("sum", "w5"), "right", {**pads, "group": 2}),
            ("Concat", ("left", "right"), "both", {"axis": 1}),
            ("GlobalAveragePool", ("both",), "pool"),
            ("Flatten", ("pool",), "flat"),
            ("Gemm", ("flat", "w6", "b6"), "logits", {"transB": 1}),
        ],
        constants,
    )


def forked() -> onnx.ModelProto:
    """Two convolutions read what a third made."""
    nodes = [
        ("Conv", ("images", "w1"), "stem"),
        ("Relu", ("stem",), "relu"),
        ("Conv", ("relu", "w2"), "left"),
        ("Conv", ("relu", "w3"), "right"),
        ("Add", ("left", "right"), "sum"),
        ("Conv", ("sum", "w4"), "last"),
    ]
    weights = {"w1": draw(8, 3, 3, 3), "w2": draw(8, 8, 1, 1), "w3": draw(8, 8, 1, 1)}
    return write(nodes, {**weights, "w4": draw(5, 8, 6, 6)})


def attending() -> onnx.ModelProto:
    """One block of a transformer on tokens of the images: LayerNorm, attention, residual sum."""
    constants = {
        "tokens": np.array([1, 64, 3]),
        "embed": draw(3, 8),
        "scale": np.ones(8, np.float32),
        "q": draw(8, 8, seed=1),
        "k": draw(8, 8, seed=2),
        "v": draw(8, 8, seed=3),
        "vb": draw(8, seed=4),
        "out": draw(8, 5, seed=5),
    }
    return write(
        [
            ("Reshape", ("images", "tokens"), "rows"),
            ("MatMul", ("rows", "embed"), "x"),
            ("LayerNormalization", ("x", "scale"), "norm"),
            ("MatMul", ("norm", "q"), "query"),
            ("MatMul", ("norm", "k"), "key"),
            ("MatMul", ("norm", "v"), "product"),
            ("Add", ("product", "vb"), "value"),
            ("Transpose", ("key",), "turned", {"perm": [0, 2, 1]}),
            ("MatMul", ("query", "turned"), "scores"),
            ("Softmax", ("scores",), "shares"),
            ("MatMul", ("shares", "value"), "read"),
            ("Add", ("x", "read"), "sum"),
            ("LayerNormalization", ("sum", "scale"), "last"),
            ("MatMul", ("last", "out"), "logits"),
        ],
        constants,
    )

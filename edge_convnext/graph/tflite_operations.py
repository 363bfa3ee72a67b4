"""The kinds of ONNX operations that are written for LiteRT (`graph/tflite/operations/`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto, NodeProto

__all__ = ["WRITTEN", "unwritable_nodes"]

WRITTEN = frozenset(
    (
        *("Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant"),
        *("Conv", "DequantizeLinear", "Div", "Dropout", "Elu", "Exp", "Flatten", "Gelu", "Gemm"),
        *("GlobalAveragePool", "GlobalMaxPool", "HardSwish", "Identity", "LayerNormalization"),
        *("LeakyRelu", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg", "Pad", "Pow"),
        *("QuantizeLinear", "Reciprocal", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin"),
        *("ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Sigmoid", "Slice", "Softmax"),
        *("Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze"),
    )
)
_STANDARD = ("", "ai.onnx")


def unwritable_nodes(proto: ModelProto) -> Iterator[NodeProto]:
    """The operations of kinds that no LiteRT graph is written of."""
    for node in proto.graph.node:
        if node.op_type not in WRITTEN or node.domain not in _STANDARD:
            yield node

"""The table of operations that can be written for LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from edge_convnext.graph.tflite.operations import (
    convolutions,
    elementwise,
    moves,
    products,
    reductions,
    weights,
)

if TYPE_CHECKING:
    from onnx import NodeProto

    from edge_convnext.graph.tflite.writing import Writing

__all__ = ["WRITERS"]

Writer: TypeAlias = "Callable[[Writing, NodeProto], None]"

WRITERS: Mapping[str, Writer] = {
    **dict.fromkeys(elementwise.UNARY, elementwise.write_unary),
    **dict.fromkeys(elementwise.BINARY, elementwise.write_binary),
    **dict.fromkeys(reductions.REDUCTIONS, reductions.write_reduction),
    **dict.fromkeys(("Cast", "Dropout", "Identity"), moves.write_passed),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), moves.write_reshape),
    **dict.fromkeys(("AveragePool", "MaxPool"), reductions.write_pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), reductions.write_global_pool),
    **dict.fromkeys(("ReduceL2", "ReduceSumSquare"), reductions.write_l2),
    **dict.fromkeys(("Elu", "LeakyRelu"), elementwise.write_with_slope),
    "BatchNormalization": reductions.write_batch_norm,
    "Clip": elementwise.write_clip,
    "Concat": moves.write_concat,
    "Constant": moves.write_constant,
    "Conv": convolutions.write_conv,
    "DequantizeLinear": weights.write_dequantize,
    "Gelu": elementwise.write_gelu,
    "Gemm": products.write_gemm,
    "LayerNormalization": reductions.write_layer_norm,
    "MatMul": products.write_matmul,
    "Pad": moves.write_pad,
    "Pow": elementwise.write_pow,
    "QuantizeLinear": weights.write_quantize,
    "Reciprocal": elementwise.write_reciprocal,
    "Slice": moves.write_slice,
    "Softmax": reductions.write_softmax,
    "Split": moves.write_split,
    "Transpose": moves.write_transpose,
}

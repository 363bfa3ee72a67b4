"""The table of operations."""

from __future__ import annotations

import onnx

from edge_convnext.graph.tflite.operations.table import WRITERS


def test_each_entry_is_an_operation_of_onnx_and_a_function():
    for kind, writer in WRITERS.items():
        assert onnx.defs.has(kind), kind
        assert callable(writer)


def test_what_convnext_is_written_of_is_there():
    needed = {
        *("Add", "Conv", "DequantizeLinear", "Div", "Gelu", "Gemm", "LayerNormalization", "MatMul"),
        *("Mul", "QuantizeLinear", "ReduceL2", "ReduceMean", "Transpose"),
    }
    assert needed <= set(WRITERS)

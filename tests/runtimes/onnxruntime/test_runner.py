from __future__ import annotations

from support.tiny_graph import write_graph

from edge_convnext.runtimes.load import load_runtime


def test_onnx_runtime_keeps_quantized_products_and_frees_the_cores(tmp_path):
    options = load_runtime("onnxruntime", write_graph(tmp_path / "g.onnx")).describe().options
    assert options["disabled_optimizers"] == "MatMulAddFusion"
    assert options["session.force_spinning_stop"] == "1"

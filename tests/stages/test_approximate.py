from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import ArtifactError, ExportError
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.stages.approximate import use_tanh_gelu


def write(path, op):
    shape = ["batch", 3, 4, 4]
    nodes = [
        helper.make_node(op, ["images"], ["y"], name="act"),
        helper.make_node("Flatten", ["y"], ["logits"], name="flatten"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 48])],
    )
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return OnnxModel(path, "fp32", "linear")


def test_gelu_by_tanh_is_near_the_exact_one_and_not_equal(tmp_path):
    exact = write(tmp_path / "exact.onnx", "Gelu")
    tanh = use_tanh_gelu(exact, tmp_path / "tanh.onnx")
    images = np.linspace(-6, 6, 3 * 48, dtype=np.float32).reshape(3, 3, 4, 4)
    one, other = (load_runtime("onnxruntime", each.path).infer(images) for each in (exact, tanh))
    assert 1e-5 < np.abs(one - other).max() < 5e-4
    (node,) = [node for node in onnx.load(tanh.path).graph.node if node.op_type == "Gelu"]
    assert node.attribute[0].s == b"tanh"


def test_a_graph_without_gelu_says_what_to_do(tmp_path):
    with pytest.raises(ExportError, match=r"has no Gelu operation.*--opset 20"):
        use_tanh_gelu(write(tmp_path / "relu.onnx", "Relu"), tmp_path / "out.onnx")
    with pytest.raises(ArtifactError, match="no such ONNX file"):
        use_tanh_gelu(OnnxModel(tmp_path / "no.onnx", "fp32", "linear"), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()

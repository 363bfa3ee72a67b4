from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import ArtifactError, ExportError
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.stages.approximate import HARDSWISH_SLOPE, use_hardswish, use_tanh_gelu


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


def with_product(path, bias=True, shared=False):
    """A 1x1 convolution in front of the Gelu."""
    generator = np.random.default_rng(0)
    constants = {
        "w": generator.standard_normal((4, 3, 1, 1), np.float32),
        "b": generator.standard_normal(4, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["images", "w", *(["b"] if bias else [])], ["x"], name="fc/Conv"),
        helper.make_node("Gelu", ["x"], ["y"], name="act/Gelu"),
        *([helper.make_node("Add", ["x", "y"], ["z"], name="add/Add")] if shared else []),
        helper.make_node("Flatten", ["z" if shared else "y"], ["logits"], name="flatten"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 64])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return OnnxModel(path, "fp32", "conv")


def swish(x):
    return x * np.clip(HARDSWISH_SLOPE * x / 6 + 0.5, 0, 1)


def test_hardswish_is_scaled_towards_gelu(tmp_path):
    exact = write(tmp_path / "exact.onnx", "Gelu")
    coarse = use_hardswish(exact, tmp_path / "coarse.onnx")
    images = np.linspace(-6, 6, 3 * 48, dtype=np.float32).reshape(3, 3, 4, 4)
    one, other = (load_runtime("onnxruntime", each.path).infer(images) for each in (exact, coarse))
    np.testing.assert_allclose(other, swish(images).reshape(3, -1), atol=1e-5)
    assert 0.01 < np.abs(one - other).max() < 0.2
    kinds = [node.op_type for node in onnx.load(coarse.path).graph.node]
    assert kinds == ["Mul", "HardSwish", "Mul", "Flatten"]


@pytest.mark.parametrize("bias", [True, False])
def test_the_slope_goes_into_the_convolution_in_front(tmp_path, bias):
    exact = with_product(tmp_path / "exact.onnx", bias)
    coarse = use_hardswish(exact, tmp_path / "coarse.onnx")
    kinds = [node.op_type for node in onnx.load(coarse.path).graph.node]
    assert kinds == ["Conv", "HardSwish", "Mul", "Flatten"]
    onnx.checker.check_model(onnx.load(coarse.path), full_check=True)
    images = np.random.default_rng(1).standard_normal((2, 3, 4, 4), np.float32)
    graph = onnx.load(exact.path)
    weight, offset = (onnx.numpy_helper.to_array(one) for one in graph.graph.initializer)
    x = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], images)
    x = x + offset.reshape(-1, 1, 1) if bias else x
    found = load_runtime("onnxruntime", coarse.path).infer(images)
    np.testing.assert_allclose(found, swish(x).reshape(2, -1), atol=1e-5)


def test_a_convolution_that_something_else_reads_keeps_its_weights(tmp_path):
    exact = with_product(tmp_path / "exact.onnx", shared=True)
    coarse = use_hardswish(exact, tmp_path / "coarse.onnx")
    kinds = [node.op_type for node in onnx.load(coarse.path).graph.node]
    assert kinds == ["Conv", "Mul", "HardSwish", "Mul", "Add", "Flatten"]
    onnx.checker.check_model(onnx.load(coarse.path), full_check=True)


def test_every_gelu_of_a_network_is_turned_and_each_product_takes_its_own_slope(tmp_path):
    """All but the first were looked for among nodes that had been written anew."""
    first = onnx.load(with_product(tmp_path / "first.onnx").path)
    second = onnx.compose.add_prefix(first, "b.")
    del first.graph.node[-1], second.graph.node[-1]
    second.graph.node[0].input[0] = "y"
    weight = np.random.default_rng(2).standard_normal((4, 4, 1, 1), np.float32)
    second.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, "b.w"))
    first.graph.node.extend(second.graph.node)
    first.graph.node.append(helper.make_node("Flatten", ["b.y"], ["logits"], name="flatten"))
    first.graph.initializer.extend(second.graph.initializer)
    onnx.save(first, tmp_path / "exact.onnx")
    exact = OnnxModel(tmp_path / "exact.onnx", "fp32", "conv")
    coarse = use_hardswish(exact, tmp_path / "coarse.onnx")
    graph = onnx.load(coarse.path)
    onnx.checker.check_model(graph, full_check=True)
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds == [*2 * ["Conv", "HardSwish", "Mul"], "Flatten"]
    images = np.random.default_rng(1).standard_normal((2, 3, 4, 4), np.float32)
    x = images
    for name in ("", "b."):
        known = {one.name: onnx.numpy_helper.to_array(one) for one in first.graph.initializer}
        x = np.einsum("oi,nihw->nohw", known[f"{name}w"][:, :, 0, 0], x)
        x = swish(x + known[f"{name}b"].reshape(-1, 1, 1))
    found = load_runtime("onnxruntime", coarse.path).infer(images)
    np.testing.assert_allclose(found, x.reshape(2, -1), atol=1e-5)


def test_a_graph_without_gelu_names_the_flag_that_was_given(tmp_path):
    with pytest.raises(ExportError, match=r"leave out --gelu hardswish"):
        use_hardswish(write(tmp_path / "relu.onnx", "Relu"), tmp_path / "out.onnx")

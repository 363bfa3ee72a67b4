from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support import open_family

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

from edge_convnext.core.artifacts import ModelInfo, Preprocess, Weights
from edge_convnext.networks.weights import save_weights
from edge_convnext.runtimes.reference import load_reference, reference_runtime

SHAPE = open_family.OpenShape(open_family.MODEL, 4)
INFO = ModelInfo(SHAPE.name, 4, 3, (), Preprocess(image_size=16), "random", "0" * 64, None)
IMAGES = np.random.default_rng(0).standard_normal((3, 3, 16, 16)).astype(np.float32)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    open_family.install(monkeypatch)


def write_means(path):
    """A graph whose logits are the channels' means, and their sum with 1."""
    node = helper.make_node("ReduceMean", ["images", "axes"], ["logits"], keepdims=0)
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    border = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 16, 16]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3]),
    ]
    graph = helper.make_graph([node], "means", border[:1], border[1:], [axes])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path)
    return path


def test_the_reference_of_tensors_is_the_module_in_torch(tmp_path):
    state = open_family.FAMILY.draw(SHAPE, 0)
    weights = save_weights(state, SHAPE, INFO, tmp_path / "w.safetensors")
    network = SHAPE.make().eval()
    network.load_state_dict(state)
    with torch.inference_mode():
        expected = network(torch.from_numpy(IMAGES)).numpy()
    runtime = load_reference(weights, 1)
    np.testing.assert_allclose(runtime.infer(IMAGES), expected, rtol=1e-5, atol=1e-6)
    assert (runtime.describe().name, runtime.describe().threads) == ("torch", 1)
    assert reference_runtime(weights) == "torch"


def test_the_reference_of_a_graph_is_the_graph_in_onnxruntime(tmp_path, monkeypatch):
    monkeypatch.setattr(type(open_family.FAMILY), "source_graph", lambda _, weights: weights.path)
    monkeypatch.setattr(type(open_family.FAMILY), "build", pytest.fail)
    weights = Weights(write_means(tmp_path / "m.onnx"), SHAPE, replace(INFO, num_classes=3))
    runtime = load_reference(weights, 1)
    np.testing.assert_allclose(runtime.infer(IMAGES), IMAGES.mean((2, 3)), atol=1e-6)
    assert (runtime.describe().name, runtime.describe().threads) == ("onnxruntime", 1)
    assert reference_runtime(weights) == "onnxruntime"

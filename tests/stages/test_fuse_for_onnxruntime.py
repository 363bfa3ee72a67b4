import json
from collections import Counter

import numpy as np
import onnx
import pytest
from support.exports import export_onnx, quantize
from support.torch_exports import INFO, SIZE, TINY

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import ArtifactError, QuantizationError
from edge_convnext.core.sections import BenchmarkConfig, ExportConfig, QuantizeConfig
from edge_convnext.measure.built_models import race_models
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.weights import save_weights
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.stages.fold import fold_weights
from edge_convnext.stages.fuse_for_onnxruntime import lower_for_onnxruntime

IMAGES = np.random.default_rng(0).standard_normal((8, 3, SIZE, SIZE), dtype=np.float32)
PRODUCTS = 1 + 3 + 2 * 4  # stem, downsamplings, two in each block; the head is a Gemm


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lower")


@pytest.fixture(scope="module")
def quantized(folder):
    """By form, the Q/DQ graph of the same weights."""
    raw = save_weights(random_state(TINY, 0), TINY, INFO, folder / "raw.safetensors")
    folded = fold_weights(raw, folder / "folded.safetensors")
    config = QuantizeConfig()
    models = {}
    for form in ("nhwc", "conv"):
        before = export_onnx(folded, form, "fp32", ExportConfig(), folder / f"{form}.onnx")
        target = folder / f"{form}.int8.onnx"
        models[form] = quantize(before, [IMAGES[:4]], "pointwise", config, target)
    return models


@pytest.fixture(scope="module")
def lowered(folder, quantized):
    return lower_for_onnxruntime(quantized["nhwc"], folder / "lowered.onnx")


def infer(model, batch=None):
    options = RuntimeOptions(batch=batch)
    return load_runtime("onnxruntime", model.path, options).infer(IMAGES)


@pytest.mark.parametrize("batch", [None, 8])
def test_the_lowered_graph_computes_what_the_qdq_graph_does(quantized, lowered, batch):
    expected = infer(quantized["nhwc"], batch)
    assert np.abs(infer(lowered, batch) - expected).max() < 1e-4 * np.abs(expected).max()


def test_dynamic_products_need_no_calibrated_ranges(folder, quantized):
    model = lower_for_onnxruntime(quantized["nhwc"], folder / "dynamic.onnx", dynamic=True)
    graph = onnx.load(model.path).graph
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["DynamicQuantizeMatMul"] == PRODUCTS
    assert kinds["QuantizeLinear"] == 1  # of the head, a Gemm
    dynamic = [node for node in graph.node if node.op_type == "DynamicQuantizeMatMul"]
    assert all(len(node.input) == 5 for node in dynamic)  # the bias is taken along
    reference = infer(OnnxModel(folder / "nhwc.onnx", "fp32", "nhwc"))
    error = infer(model) - reference
    assert 10 * np.log10((reference**2).mean() / (error**2).mean()) > 20


def test_products_take_their_bias_along(quantized, lowered):
    before, after = (onnx.load(model.path).graph for model in (quantized["nhwc"], lowered))
    old, new = (Counter(node.op_type for node in graph.node) for graph in (before, after))
    assert new["MatMulIntegerToFloat"] == PRODUCTS
    assert old["Add"] - new["Add"] == PRODUCTS
    fused = [node for node in after.node if node.op_type == "MatMulIntegerToFloat"]
    assert all(len(node.input) == 7 for node in fused)
    assert {node.name for node in fused} <= {node.name for node in before.node}


def test_activations_become_unsigned(lowered):
    graph = onnx.load(lowered.path).graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMulIntegerToFloat":
            assert constants[node.input[4]] == 128
            assert constants[node.input[4]].dtype == np.uint8
            assert constants[node.input[1]].dtype == np.int8


def test_the_metadata_says_that_it_is_for_one_runtime(quantized, lowered):
    assert (lowered.form, lowered.precision, lowered.placement) == ("nhwc", "int8", "pointwise")
    assert lowered.quantized_ops == quantized["nhwc"].quantized_ops
    (entry,) = onnx.load(lowered.path).metadata_props
    assert entry.key == METADATA_KEY
    assert json.loads(entry.value)["format"] == "onnxruntime"


def test_a_graph_without_products_is_refused(quantized, folder):
    with pytest.raises(QuantizationError, match="no MatMul with quantized inputs"):
        lower_for_onnxruntime(quantized["conv"], folder / "nothing.onnx")
    assert not (folder / "nothing.onnx").exists()


def test_a_missing_graph_is_named(folder):
    with pytest.raises(ArtifactError, match=r"nowhere\.onnx: no such ONNX file"):
        lower_for_onnxruntime(OnnxModel(folder / "nowhere.onnx", "int8", "nhwc"), folder / "x.onnx")


def test_bench_runs_a_lowered_graph_where_it_can_run(lowered):
    pytest.importorskip("openvino", reason="the openvino extra is not installed")
    config = BenchmarkConfig(batches=(1,), rounds=1, min_round_ms=1)
    result = race_models([lowered.path], "both", config)
    assert {row.candidate.runtime for row in result.rows} == {"onnxruntime"}
    with pytest.raises(ArtifactError, match="pass --runtime onnxruntime"):
        race_models([lowered.path], "openvino", config)

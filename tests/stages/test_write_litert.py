"""The stage that writes a graph of a build for LiteRT."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import onnx
import pytest
from support.litert_graphs import draw, make_graph, node, quantized_weight

pytest.importorskip("ai_edge_litert", reason="the litert extra is not installed")

from edge_convnext.core.artifacts import METADATA_KEY, ModelInfo, OnnxModel, Preprocess
from edge_convnext.core.errors import ExportError
from edge_convnext.graph.tflite_file import LABELS, read_carried
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.runtimes.metadata import read_metadata
from edge_convnext.stages.write_litert import STAGE, write_litert

INFO = ModelInfo(
    "convnextv2_atto", 16, 8, tuple(f"class {at}" for at in range(16)),
    Preprocess(image_size=(6, 10)), "random", "0" * 64, None,
)  # fmt: skip


@pytest.fixture
def graph(tmp_path):
    proto = make_graph(
        node("Transpose", "images", out="t", perm=[0, 2, 3, 1]),
        node("DequantizeLinear", "q", "s", "z", out="w", axis=1),
        node("MatMul", "t", "w", out="p"),
        node("ReduceMean", "p", "axes", keepdims=0),
        axes=[1, 2], **quantized_weight(draw(8, 16), 1),
    )  # fmt: skip
    fields = INFO.to_metadata(precision="int8", form="linear", placement="inner")
    onnx.helper.set_model_props(proto, fields)
    onnx.save(proto, tmp_path / "graph.int8.onnx")
    return OnnxModel(tmp_path / "graph.int8.onnx", "int8", "linear", "inner", 1)


def test_the_model_carries_what_its_graph_does_and_its_labels(graph, tmp_path):
    made = write_litert(graph, tmp_path / "model.tflite")
    assert (made.precision, made.form, made.placement, made.quantized_ops) == (
        "int8", "linear", "inner", 1
    )  # fmt: skip
    found = read_metadata(made.path)
    assert found.info == INFO
    assert (found.precision, found.form, found.placement, found.format) == (
        "int8", "linear", "inner", "litert"
    )  # fmt: skip
    assert json.loads(read_carried(made.path)[METADATA_KEY])["format"] == "litert"
    with zipfile.ZipFile(made.path) as archive:
        assert archive.read(LABELS).decode().splitlines() == list(INFO.classes)


def test_it_computes_nearly_what_the_graph_says(graph, tmp_path):
    shown = draw(2, 8, 6, 10, seed=3)
    made = write_litert(graph, tmp_path / "model.tflite")
    found = load_runtime("litert", made.path).infer(shown)
    expected = load_runtime("onnxruntime", graph.path).infer(shown)
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())


def test_a_graph_that_can_not_be_written_leaves_no_file(graph, tmp_path):
    proto = onnx.load(graph.path)
    proto.graph.node[2].op_type = "Erf"
    onnx.save(proto, graph.path)
    with pytest.raises(ExportError, match="this Erf can't be written for LiteRT"):
        write_litert(graph, tmp_path / "model.tflite")
    assert not (tmp_path / "model.tflite").exists()


def test_it_is_a_graph_for_one_runtime_alone():
    assert STAGE.reported_as == "lower"
    assert {"onnx", "ai_edge_litert"} <= set(STAGE.packages)

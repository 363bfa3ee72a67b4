from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from support.tiny_graph import write_graph

from edge_convnext.build.lineage import Lineage
from edge_convnext.build.tuning.board.candidates import BoardGraphs
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.step import Step
from edge_convnext.devices.bundle.manifest import check_name
from edge_convnext.networks.plans import Plan, float_plan


@pytest.fixture
def lineage(tmp_path):
    def make(plan, content="a"):
        path = write_graph(tmp_path / f"{content}.onnx")
        model = OnnxModel(path, plan.precision, plan.form, plan.placement, 3)
        return Lineage(plan, (Step(model, "done", 0.0, content),))

    return make


def test_each_graph_is_sent_once_and_entered_in_each_runtime(lineage):
    made, plan = BoardGraphs(), Plan("nhwc", "inner")
    made.add(lineage(plan), "onnxruntime", "cpu", usual=True)
    made.add(lineage(plan), "openvino", "cpu")
    made.add(lineage(plan), "openvino", "cpu")
    assert list(made.found) == ["nhwc.inner.int8.onnx"]
    assert [(one.runtime, one.usual) for one in made.entrants] == [
        ("onnxruntime", True), ("openvino", False),
    ]  # fmt: skip
    entry = made.found["nhwc.inner.int8.onnx"].entry
    assert (entry.precision, entry.form, entry.placement, entry.batch) == (
        "int8", "nhwc", "inner", None,
    )  # fmt: skip
    assert (entry.kind, entry.format, entry.quantized_ops) == ("cpu", "qdq", 3)
    assert made.plans["nhwc.inner.int8.onnx", "openvino"] == plan


def test_two_plans_of_one_graph_are_two_entrants_and_names_are_of_their_own(lineage):
    made, plan = BoardGraphs(), Plan("nhwc", "inner")
    set_so = replace(plan, settings=(("a.b/c", "0"),))
    made.add(lineage(plan), "onnxruntime", "cpu")
    made.add(lineage(set_so), "onnxruntime", "cpu")
    assert [one.settings for one in made.entrants] == [{}, {"a.b/c": "0"}]
    assert len(made.found) == 1
    made.add(lineage(set_so, "b"), "onnxruntime", "cpu")
    made.add(lineage(plan, "c"), "onnxruntime", "cpu")
    assert len(made.found) == 3
    for one in made.found.values():
        check_name(one.entry.file)
    assert "nhwc.inner-2.int8.onnx" in made.found


def test_a_graph_for_tensorrt_has_its_batch(lineage):
    made = BoardGraphs()
    made.add(lineage(float_plan("linear", "fp16", 2, "typed")), "tensorrt", "typed20")
    [graph] = made.found.values()
    assert (graph.entry.name, graph.entry.batch) == ("linear.b2.fp16.onnx", 2)
    assert graph.entry.quantized_ops is None
    assert isinstance(graph.path, Path)
    assert onnx.load(graph.path).graph.node

"""Which graphs of a build are written for LiteRT, and what a graph that can't be comes to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from edge_convnext.build import litert_graphs
from edge_convnext.build.lineage import Lineage
from edge_convnext.build.litert_graphs import litert_floats, own_float_plan, try_plan
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import ExportError, InferenceError
from edge_convnext.core.step import Step
from edge_convnext.networks.plans import Plan, float_plan
from edge_convnext.stages import simplify, write_litert

PLAN = Plan("linear", "inner", format="litert")


def step(path, stage):
    return Step(OnnxModel(path, "fp32", "linear"), "done", 1.0, path.name, stage=stage)


@pytest.fixture
def begun(tmp_path):
    return Lineage(float_plan("linear", "fp32"), (step(tmp_path / "a.onnx", simplify.STAGE),))


def runner(runtime="auto"):
    cache = SimpleNamespace(root=Path("/home/user/.cache"))
    return SimpleNamespace(recipe=SimpleNamespace(runtime=runtime), cache=cache)


def floats(own, begun):
    return litert_floats(own, [Plan("nhwc", "inner"), PLAN, PLAN], {begun.plan: begun}, None)


def test_the_float_has_the_form_and_the_format_of_the_plan():
    made = own_float_plan(PLAN)
    assert (made.form, made.placement, made.precision, made.format) == (
        "linear", None, "fp32", "litert"
    )  # fmt: skip
    assert made != float_plan("linear", "fp32")


def test_a_float_that_is_written_stands_for_its_onnx_graph(begun, tmp_path, monkeypatch):
    written = step(tmp_path / "a.tflite", write_litert.STAGE)
    monkeypatch.setattr(litert_graphs, "litert_step", lambda *_: written)
    made, unwritten = floats(runner(), begun)
    assert unwritten == {}
    (made,) = made.values()
    assert (made.final, made.stands_for) == (written, begun.final)
    assert begun.stands_for is None  # every runtime loads it


@pytest.mark.parametrize("kind", [ExportError, InferenceError])
def test_one_that_can_not_be_is_a_reason_or_an_error_where_it_was_asked_for(
    begun, monkeypatch, kind
):
    def fail(*_):
        raise kind("head/TopK: no")

    monkeypatch.setattr(litert_graphs, "litert_step", fail)
    assert floats(runner(), begun) == ({}, {PLAN: "head/TopK: no"})
    with pytest.raises(kind, match="head/TopK"):
        floats(runner("litert"), begun)


def test_a_reason_names_the_file_without_its_folder_in_the_cache():
    def fail():
        raise InferenceError("/home/user/.cache/scratch/12ab/raw.tflite: takes 3 GiB of 1/2")

    assert try_plan(runner(), PLAN, fail) == "raw.tflite: takes 3 GiB of 1/2"


def test_only_litert_s_plans_are_left_out():
    def fail():
        raise InferenceError("node 5 failed to prepare")

    assert try_plan(runner(), PLAN, list) is None
    assert try_plan(runner(), PLAN, fail) == "node 5 failed to prepare"
    for own, plan in ((runner("litert"), PLAN), (runner(), Plan("nhwc", "inner"))):
        with pytest.raises(InferenceError, match="node 5"):
            try_plan(own, plan, fail)

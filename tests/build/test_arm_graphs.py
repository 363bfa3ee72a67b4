"""Graphs for the CPUs of boards: which are found, and when they were judged."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.stage_lab import graph

from edge_convnext.build.arm_graphs import find_arm_graphs, list_arm_options
from edge_convnext.build.graphs import Graphs
from edge_convnext.build.lineage import Lineage
from edge_convnext.networks.arm_plans import arm_plan
from edge_convnext.networks.plans import float_plan, plan_for
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.stages import fuse_for_onnxruntime, quantize, simplify

ARM = "cpu/int8.arm.onnx"


def step(name, stage, precision="fp32"):
    return replace(graph(name, precision), stage=stage)


PAIRS = step("pairs", quantize.STAGE, "int8")
FUSED = step("fused", fuse_for_onnxruntime.STAGE, "int8")


def prepared(targets=("cpu",), runtimes=("onnxruntime", "openvino"), **fields):
    recipe = make_recipe(fields)
    graphs = Graphs()
    for form in ("nhwc", "conv_moments"):
        graphs.add(Lineage(float_plan(form, "fp32"), (step(form, simplify.STAGE),)))
    graphs.add(Lineage(float_plan("nhwc", "fp16"), (step("half", simplify.STAGE, "fp16"),)))
    if "onnxruntime" in runtimes:
        graphs.add(Lineage(plan_for(recipe, "onnxruntime"), (PAIRS, FUSED)))
    else:
        graphs.add(Lineage(arm_plan(recipe), (PAIRS,)))
    runner = SimpleNamespace(recipe=recipe)
    return SimpleNamespace(runner=runner, graphs=graphs, targets=targets, runtimes=runtimes)


def judged(*steps):
    return [SimpleNamespace(digest=one.digest) for one in steps]


def found(made, *steps, fallbacks=()):
    return {
        name: one.digest for name, one in find_arm_graphs(made, judged(*steps), fallbacks).items()
    }


def test_it_is_what_the_fused_products_were_fused_from():
    assert found(prepared(), FUSED) == {ARM: PAIRS.digest}


def test_what_was_judged_of_the_fused_graph_holds_for_it_and_nothing_else_does():
    assert found(prepared()) == {}
    assert found(prepared(), PAIRS) == {}  # of this lineage the fused one is judged


def test_ranges_of_each_inference_are_another_graph():
    dynamic = {"form": "nhwc", "placement": "inner", "format": "onnxruntime_dynamic"}
    assert found(prepared(plans={"onnxruntime": dynamic}), FUSED) == {}


def test_a_float_build_and_one_without_onnx_runtime_have_none():
    assert found(prepared(precision="fp32"), FUSED) == {}
    made = prepared()
    del made.graphs.lineages[plan_for(made.runner.recipe, "onnxruntime")]
    assert found(made, FUSED) == {}


@pytest.mark.parametrize("kept", [True, False])
def test_past_the_budget_the_fallback_takes_its_place_if_it_was_judged(kept):
    made = prepared()
    mended, fused = (step(name, quantize.STAGE, "int8") for name in ("mended", "mended fused"))
    fallback = SimpleNamespace(
        plan=plan_for(made.runner.recipe, "onnxruntime"), portable=mended, options=judged(fused)
    )
    told = found(made, *([fused] if kept else []), fallbacks=[fallback])
    assert told == ({ARM: mended.digest} if kept else {})
    other = SimpleNamespace(plan=arm_plan(make_recipe({})), portable=mended, options=judged(fused))
    assert found(made, FUSED, fallbacks=[other]) == {ARM: PAIRS.digest}


def test_for_arm_alone_both_runtimes_get_a_float_and_one_graph_is_int8():
    made = prepared(("arm-cpu",), ())
    assert found(made, PAIRS) == {
        ARM: PAIRS.digest, "cpu/fp32.onnxruntime.onnx": "digest of nhwc",
        "cpu/fp32.openvino.onnx": "digest of conv_moments",
    }  # fmt: skip


def options(made):
    return [(one.digest, one.runtime, one.hint, one.may_ship) for one in list_arm_options(made)]


def test_what_is_checked_for_arm_alone_may_ship_and_runs_in_onnx_runtime_here():
    assert options(prepared(("arm-cpu",), ())) == [
        (PAIRS.digest, "onnxruntime", "f32", True), ("digest of nhwc", "onnxruntime", "f32", True),
    ]  # fmt: skip
    half = prepared(("arm-cpu",), (), precision="fp16")
    assert [one[0] for one in options(half)] == ["digest of half", "digest of nhwc"]
    whole = prepared(("arm-cpu",), (), precision="fp32")
    assert [one[0] for one in options(whole)] == ["digest of nhwc"]


def test_beside_a_runtime_of_here_it_is_checked_and_ships_beside():
    made = prepared(("cpu", "arm-cpu"), ("openvino",))
    assert options(made) == [(PAIRS.digest, "onnxruntime", "f32", False)]
    assert found(made, PAIRS) == {ARM: PAIRS.digest}
    assert options(prepared()) == []

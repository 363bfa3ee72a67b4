"""What a build evaluates and races of its graphs, and what of it may ship."""

from dataclasses import replace

import pytest
from support.stage_lab import graph

from edge_convnext.build.candidates import list_gpu_options, list_options, raw_reference
from edge_convnext.build.graphs import Graphs
from edge_convnext.build.lineage import Lineage
from edge_convnext.networks.plans import Plan, float_plan, plan_for
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.stages import export, place_qdq, quantize, simplify, write_for_tensorrt

PLANS = {
    "onnxruntime": {"form": "nhwc", "placement": "inner"},
    "openvino": {"form": "conv", "placement": "inner", "settings": {"A": "1"}},
}


def step(name, stage, precision="fp32"):
    return replace(graph(f"{name}.onnx", precision), stage=stage)


def graphs_of(recipe, runtimes, precision):
    graphs = Graphs()
    for form in ("raw", "nhwc", "conv"):
        steps = (step(f"{form}.export", export.STAGE), step(form, simplify.STAGE))
        graphs.add(Lineage(float_plan(form, "fp32"), steps))
    for runtime in runtimes:
        plan = plan_for(recipe, runtime)
        own = plan if precision == "int8" else float_plan(plan.form, precision)
        graphs.add(Lineage(own, (step(f"{plan.form}.{precision}", quantize.STAGE, precision),)))
    return graphs


def listed(precision, runtimes, bf16=False, **more):
    recipe = make_recipe({"precision": precision, "plans": PLANS})
    made = graphs_of(recipe, runtimes if precision != "fp32" else (), precision)
    found = list_options(recipe, made, runtimes, bf16, **more)
    return [(one.name, one.may_ship) for one in found]


def test_every_float_form_sets_the_pace_and_those_in_the_form_of_the_plan_may_ship():
    assert listed("int8", ["onnxruntime"], bf16=True) == [
        ("raw.onnx onnxruntime f32", False),
        ("nhwc.onnx onnxruntime f32", True),
        ("conv.onnx onnxruntime f32", False),
        ("nhwc.int8.onnx onnxruntime f32", True),
    ]


def test_where_products_overflow_the_exact_ones_of_a_runtime_are_raced_beside():
    exact = "+session.x64quantprecision=1"
    found = listed("int8", ["onnxruntime", "openvino"], overflows=True)
    own = [name for name, _ in found if ".int8." in name]
    assert own == [
        "nhwc.int8.onnx onnxruntime f32", f"nhwc.int8.onnx onnxruntime f32{exact}",
        "conv.int8.onnx openvino f32+A=1",
    ]  # fmt: skip
    assert not any("quantprecision" in name for name, _ in found if ".int8." not in name)


@pytest.mark.parametrize(("form", "raw_may"), [("auto", True), ("linear", False)])
def test_where_nothing_is_folded_the_network_as_it_came_may_ship_in_float_too(form, raw_may):
    plans = {"onnxruntime": {"form": "linear", "placement": "inner"}}
    recipe = make_recipe({"model": "conv2former_n", "plans": plans, "export": {"form": form}})
    graphs = Graphs()
    for one in ("raw", "linear"):
        graphs.add(Lineage(float_plan(one, "fp32"), (step(one, simplify.STAGE),)))
    plan = plan_for(recipe, "onnxruntime")
    graphs.add(Lineage(plan, (step("linear.int8", quantize.STAGE, "int8"),)))
    found = list_options(recipe, graphs, ["onnxruntime"], False)
    assert [one.may_ship for one in found] == [raw_may, True, True]


def test_openvino_computes_floats_in_bfloat16_too_and_settings_are_raced_without_int8():
    assert listed("int8", ["openvino"], bf16=True) == [
        ("raw.onnx openvino f32", False),
        ("raw.onnx openvino bf16", False),
        ("nhwc.onnx openvino f32", False),
        ("nhwc.onnx openvino bf16", False),
        ("conv.onnx openvino f32", True),
        ("conv.onnx openvino bf16", True),
        ("conv.onnx openvino f32+A=1", True),
        ("conv.onnx openvino bf16+A=1", True),
        ("conv.int8.onnx openvino f32+A=1", True),
        ("conv.int8.onnx openvino bf16+A=1", True),
    ]


@pytest.mark.parametrize(
    ("precision", "last"),
    [("fp32", "conv.onnx openvino f32+A=1"), ("fp16", "conv.fp16.onnx openvino f32")],
)
def test_float_builds_have_no_int8_graph(precision, last):
    names = [name for name, _ in listed(precision, ["openvino"])]
    assert names[:3] == [
        "raw.onnx openvino f32", "nhwc.onnx openvino f32", "conv.onnx openvino f32",
    ]  # fmt: skip
    assert names[-1] == last
    assert not any("int8" in name for name in names)


def test_the_reference_is_the_raw_graph_as_it_was_exported():
    found = raw_reference(graphs_of(make_recipe({}), (), "int8"))
    assert (found.name, found.may_ship) == ("raw.export.onnx onnxruntime f32", False)
    assert raw_reference(Graphs()) is None


def gpu_lineages(precision):
    """Two batch sizes; both families share the placed graph of the first."""
    made = []
    for family in ("typed", "tensorrt8"):
        for batch in (1, 8):
            own = float_plan("mixed", precision, batch, family)
            steps = [step(f"mixed.b{batch}", export.STAGE)]
            if precision == "int8":
                own = Plan("mixed", "blocks", batch=batch, family=family)
                kind = "" if batch == 1 else f".{family}"
                steps.append(step(f"placed.b{batch}{kind}", place_qdq.STAGE, "int8"))
            steps.append(step(f"written.{family}.b{batch}", write_for_tensorrt.STAGE, precision))
            made.append(Lineage(own, tuple(steps)))
    if precision == "int8":
        made += gpu_lineages("fp16")
    return made


@pytest.mark.parametrize(
    ("precision", "alone", "expected"),
    [
        ("int8", False, [("placed.b1", False), ("placed.b8.typed", False),
                         ("placed.b8.tensorrt8", False)]),
        ("int8", True, [("placed.b1", True), ("placed.b8.typed", True),
                        ("placed.b8.tensorrt8", True), ("mixed.b1", True)]),
        ("fp16", False, []),
        ("fp16", True, [("written.typed.b1", True), ("mixed.b1", True)]),
        ("fp32", True, [("mixed.b1", True)]),
    ],
)  # fmt: skip
def test_graphs_for_tensorrt_are_evaluated_before_their_body_is_halved(precision, alone, expected):
    recipe = make_recipe({"precision": precision})
    found = list_gpu_options(recipe, gpu_lineages(precision), alone=alone)
    names = [(one.name.removesuffix(".onnx onnxruntime f32"), one.may_ship) for one in found]
    assert names == expected

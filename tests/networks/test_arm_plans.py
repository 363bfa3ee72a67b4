"""Plans for Arm CPUs, which no build here times."""

import pytest

from edge_convnext.networks.arm_plans import arm_forms, arm_plan, needs_arm_plan, plan_on_arm
from edge_convnext.networks.plans import plan_for
from edge_convnext.networks.recipe_file import make_recipe

BOTH = ("onnxruntime", "openvino")
DYNAMIC = {"form": "nhwc", "placement": "inner", "format": "onnxruntime_dynamic"}


def test_it_is_the_plan_of_onnx_runtime_in_pairs_alone():
    recipe = make_recipe({})
    plan = arm_plan(recipe)
    assert plan.label == "nhwc.inner"
    assert plan_for(recipe, "onnxruntime").label == "nhwc.inner.ort"
    own = {"form": "conv", "placement": "pointwise", "settings": {"batch": "dynamic"}}
    stated = arm_plan(make_recipe({"plans": {"onnxruntime": own}}))
    assert (stated.label, stated.settings) == ("conv.pointwise", ())


def test_a_search_begins_with_the_plan_of_builds_unless_another_was_stated():
    for model, label in (("convnextv2_atto", "nhwc.inner"), ("convnextv2_pico", "nhwc.pointwise")):
        recipe = make_recipe({"model": model})
        assert arm_plan(recipe).label == plan_on_arm(recipe, "openvino").label == label
    usual = make_recipe({})
    assert plan_on_arm(usual, "onnxruntime") == plan_for(usual, "onnxruntime")
    own = {"form": "conv", "placement": "inner"}
    for fields in (
        {"plans": {"openvino": own}}, {"export": {"form": "conv"}}, {"fold": {"enabled": False}},
    ):  # fmt: skip
        stated = make_recipe(fields)
        assert plan_on_arm(stated, "openvino") == plan_for(stated, "openvino")


def test_a_float_graph_has_the_form_that_each_runtime_is_planned_in():
    assert arm_forms(make_recipe({})) == {"onnxruntime": "nhwc", "openvino": "conv_moments"}
    assert set(arm_forms(make_recipe({"fold": {"enabled": False}})).values()) == {"raw"}


@pytest.mark.parametrize(
    ("targets", "runtimes", "plans", "needed"),
    [
        (("arm-cpu",), (), {}, True),
        (("cpu", "arm-cpu"), BOTH, {}, False),  # its graph is that of ONNX Runtime, unfused
        (("cpu", "arm-cpu"), ("openvino",), {}, True),
        (("cpu", "arm-cpu"), BOTH, {"onnxruntime": DYNAMIC}, True),
        (("cpu",), ("openvino",), {}, False),
        (("tensorrt",), (), {}, False),
    ],
)
def test_a_plan_of_its_own_is_made_where_the_builds_runtimes_do_not_make_it(
    targets, runtimes, plans, needed
):
    assert needs_arm_plan(make_recipe({"plans": plans}), targets, runtimes) is needed

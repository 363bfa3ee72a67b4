from dataclasses import replace

import pytest

from edge_convnext.build.tuning.space import list_plans, list_refinements
from edge_convnext.networks.conv2former.family import FAMILY as BY_ROLES
from edge_convnext.networks.convnext.family import FAMILY
from edge_convnext.networks.convnext.forms import FORMS
from edge_convnext.networks.plans import Plan
from edge_convnext.runtimes.load import find_runtime
from edge_convnext.runtimes.plan_rules import Way


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_space_has_every_form_and_says_what_it_leaves_out(runtime):
    plans, excluded = list_plans(FAMILY, runtime, 20)
    assert {plan.form for plan in plans} == set(FORMS)
    assert {plan.placement for plan in plans} == {"inner", "pointwise", "weighted", "all"}
    assert not set(plans) & {one.plan for one in excluded}
    assert all(one.reason for one in excluded)
    lowered = [plan for plan in plans if plan.format == "onnxruntime"]
    assert bool(lowered) == (runtime == "onnxruntime")
    dynamic = [plan for plan in plans if plan.format == "onnxruntime_dynamic"]
    assert bool(dynamic) == (runtime == "onnxruntime")


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_quick_search_stays_around_the_plan_in_force(runtime):
    plans, _ = list_plans(FAMILY, runtime, 20)
    usual = Plan("conv_moments", "weighted", "uint8")
    quick, _ = list_plans(FAMILY, runtime, 20, usual)
    assert usual in quick
    assert set(quick) < set(plans)
    assert {plan.activation_type for plan in quick} == {"uint8"}
    assert {plan.placement for plan in quick} == {"inner", "pointwise", "weighted"}


def test_a_quick_search_races_the_plan_in_force_with_all_its_settings():
    usual = Plan("nhwc", "inner", gelu="tanh", settings=(("batch", "dynamic"),))
    quick, _ = list_plans(FAMILY, "onnxruntime", 20, usual)
    assert usual in quick


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_refinement_changes_one_thing(runtime):
    plan = Plan("linear", "inner", "uint8")
    refined = list_refinements(plan, runtime, 20)
    assert len({one.label for one in [plan, *refined]}) == len(refined) + 1
    for one in refined:
        assert replace(one, gelu="erf", settings=()) == plan
        assert (one.gelu == "tanh") != bool(one.settings)
    assert any(one.gelu == "tanh" for one in refined)
    assert all(one.gelu == "erf" for one in list_refinements(plan, runtime, 19))


def test_from_opset_21_on_onnx_runtime_gets_no_placement_of_everything():
    plans, excluded = list_plans(FAMILY, "onnxruntime", 21)
    assert "all" not in {plan.placement for plan in plans}
    assert any("opset 21" in one.reason for one in excluded)


def test_a_family_by_roles_has_types_by_tensor_and_is_searched_by_its_runtimes_table():
    assert "mixed" not in {plan.activation_type for plan in list_plans(FAMILY, "openvino", 20)[0]}
    plans, _ = list_plans(BY_ROLES, "openvino", 20)
    assert {plan.activation_type for plan in plans} == {"int8", "uint8", "mixed"}
    assert {plan.placement for plan in plans} == set(BY_ROLES.placements)
    usual = Plan("raw", "inner")
    for runtime in ("onnxruntime", "openvino"):
        quick, _ = list_plans(BY_ROLES, runtime, 20, usual)
        ways = {(way.placement, way.activation_type, way.format)
                for way in find_runtime(runtime).PLAN_RULES.ways}  # fmt: skip
        found = {(plan.placement, plan.activation_type, plan.format) for plan in quick}
        assert found - ways <= {("inner", "int8", "qdq")}
        assert ("weighted", "uint8", "qdq") in found


def test_of_a_family_by_roles_the_graph_tells_whether_there_is_a_product_to_fuse():
    plans, _ = list_plans(BY_ROLES, "onnxruntime", 20)
    assert any(plan.format == "onnxruntime" for plan in plans)


def test_of_a_family_by_roles_the_forms_are_those_of_the_runtimes_table_and_the_one_in_force():
    def forms(runtime, around=None):
        return {plan.form for plan in list_plans(BY_ROLES, runtime, 20, around)[0]}

    assert forms("openvino") == {"raw"}
    assert forms("onnxruntime") == {"raw", "linear"}
    quick, _ = list_plans(BY_ROLES, "onnxruntime", 20, Plan("raw", "inner"))
    ways = {way for way in find_runtime("onnxruntime").PLAN_RULES.ways if way.form}
    assert {
        Way(plan.placement, plan.activation_type, plan.format, plan.form)
        for plan in quick if plan.form != "raw"
    } == ways  # fmt: skip
    assert forms("openvino", Plan("conv", "inner")) == {"conv"}


def test_models_of_litert_are_for_litert_alone():
    plans, excluded = list_plans(FAMILY, "onnxruntime", 20)
    assert "litert" not in {plan.format for plan in plans}
    assert "only LiteRT loads its models" in {one.reason for one in excluded}
    plans, excluded = list_plans(FAMILY, "litert", 20)
    assert {plan.format for plan in plans} == {"litert"}
    assert {plan.activation_type for plan in plans} == {"int8"}
    reasons = {one.reason for one in excluded}
    assert "only its own format is loaded there, and no ONNX graph" in reasons

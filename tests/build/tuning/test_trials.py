from dataclasses import replace

import pytest

from edge_convnext.build.tuning.race import Lap
from edge_convnext.build.tuning.space import list_plans, list_refinements
from edge_convnext.build.tuning.trials import Trial, choose, choose_by_accuracy
from edge_convnext.core.artifacts import Parity
from edge_convnext.core.recipe import recipe_folder
from edge_convnext.networks.convnext.family import FAMILY
from edge_convnext.networks.convnext.forms import FORMS
from edge_convnext.networks.plans import Plan, shipped_plans


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


def trial(form, ratio, drop, nodes, interval=(1.1, 1.2)):
    lap = Lap(ratio, ratio, interval, 32)
    return Trial("openvino", Plan(form, "inner"), "f32", lap, None, drop, nodes, False, "")


def test_of_options_as_fast_the_simplest_wins():
    trials = choose(
        [
            trial("conv", 1.0, 0.0, 400),
            trial("conv_moments", 1.01, 0.0, 380, (0.99, 1.03)),
            trial("linear", 1.2, 0.0, 100),
        ],
        1.0,
    )
    assert [one.won for one in trials] == [False, True, False]
    assert "400 nodes" in trials[0].reason
    assert "can't be told apart" in trials[1].reason


def test_of_plans_as_fast_the_exact_one_with_the_usual_settings_wins():
    usual = trial("conv", 1.01, 0.0, 400, (0.99, 1.03))
    tanh = replace(trial("conv", 1.0, 0.0, 400), plan=Plan("conv", "inner", gelu="tanh"), won=False)
    pinned = replace(tanh, plan=Plan("conv", "inner", settings=(("ENABLE_CPU_PINNING", "NO"),)))
    trials = choose([tanh, pinned, usual], 1.0)
    assert [one.won for one in trials] == [False, False, True]
    assert "approximation" in trials[0].reason
    slower = replace(usual, lap=Lap(1.015, 1.015, (1.01, 1.02), 32))
    assert choose([tanh, slower], 1.0)[1].won  # too little for another function
    slower = replace(usual, lap=Lap(1.05, 1.05, (1.04, 1.06), 32))
    assert choose([tanh, slower], 1.0)[0].won
    assert "ENABLE_CPU_PINNING=NO" in trials[1].reason


def test_dynamic_ranges_have_to_earn_their_place():
    static = replace(trial("nhwc", 1.005, 0.0, 268, (0.99, 1.02)), plan=Plan("nhwc", "inner"))
    plan = Plan("nhwc", "inner", format="onnxruntime_dynamic")
    dynamic = replace(trial("nhwc", 1.0, 0.0, 243), plan=plan)
    assert [one.won for one in choose([dynamic, static], 1.0)] == [False, True]


def of_ranges(estimator, sqnr_db, drop=0.0):
    plan = Plan("conv", "inner", range_estimator=estimator)
    parity = Parity(n_images=8, max_abs_err=0.1, sqnr_db=sqnr_db, agreement_pct=99.0)
    return replace(trial("conv", 1.0, drop, 400), plan=plan, apart=parity, reason="fast")


def test_of_ranges_that_cost_no_time_the_nearest_to_the_float_graph_win():
    winner = replace(of_ranges("reconstruction", 30.0), won=True)
    rivals = [of_ranges("minmax", 28.0), of_ranges("mean_quantile", 31.5)]
    trials = choose_by_accuracy(winner, rivals, 1.0)
    assert [one.won for one in trials] == [False, False, True]
    assert trials[2].reason == "fast; mean_quantile has the nearest ranges"
    assert "30.0 dB on images that set no range, not 31.5" in trials[0].reason


def test_near_ranges_past_the_budget_do_not_win():
    winner = replace(of_ranges("reconstruction", 30.0), won=True)
    trials = choose_by_accuracy(winner, [of_ranges("minmax", 40.0, drop=1.5)], 1.0)
    assert [one.won for one in trials] == [True, False]


def test_what_is_past_the_accuracy_budget_does_not_win():
    trials = choose([trial("conv", 1.0, 3.0, 9), trial("linear", 1.2, 0.2, 9)], 1.0)
    assert [one.won for one in trials] == [False, True]
    assert trials[0].reason == "top-1 drops by 3.00 pp, past 1.00"
    none = choose([trial("conv", 1.0, 3.0, 9), trial("linear", 1.2, 2.0, 9)], 1.0)
    assert [one.won for one in none] == [True, False]
    assert "none keeps" in none[0].reason


def test_a_plan_that_its_runtime_computes_wrongly_does_not_win():
    def of(ratio, sqnr_db):
        parity = Parity(n_images=8, max_abs_err=0.1, sqnr_db=sqnr_db, agreement_pct=50.0)
        return replace(trial("conv", ratio, None, 400), parity=parity)

    trials = choose([of(1.0, 0.4), of(1.2, 30.0)], 1.0)
    assert [one.won for one in trials] == [False, True]
    assert trials[0].reason == "computes something else here: 0.4 dB"


def test_every_shipped_plan_is_valid_and_the_nearest_size_serves_the_others():
    names = [path.stem for path in (recipe_folder() / "tuned").glob("*.yaml")]
    assert "convnextv2_atto" in names
    for name in [*names, "convnextv2_huge", "convnextv1_atto"]:
        plans = shipped_plans(name)
        assert set(plans) == {"onnxruntime", "openvino"}
        for runtime, plan in plans.items():
            assert plan in list_plans(FAMILY, runtime, 20)[0]

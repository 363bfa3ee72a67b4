from dataclasses import replace

import pytest

from edge_convnext.build.tuning.space import list_plans
from edge_convnext.build.tuning.trials import Trial, choose, choose_by_accuracy
from edge_convnext.core.artifacts import Parity
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.recipe import recipe_folder
from edge_convnext.measure.halving import Lap
from edge_convnext.networks.convnext.family import FAMILY
from edge_convnext.networks.plans import Plan, shipped_plans


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


def test_what_is_wrong_where_it_runs_does_not_win_however_fast_it_is():
    wrong = replace(trial("conv", 1.0, 0.0, 100), wrong="OpenVINO computes something else: 16 dB")
    trials = choose([wrong, trial("linear", 1.3, 0.0, 400)], 1.0)
    assert [one.won for one in trials] == [False, True]
    assert trials[0].reason == wrong.wrong
    with pytest.raises(RecipeError, match="no finalist that is right where it runs: OpenVINO"):
        choose([wrong], 1.0)

import re

import pytest
from support.gate_builds import make_build

from edge_convnext.core.errors import RecipeError
from edge_convnext.report.gate.decide import gate
from edge_convnext.report.gate.limits import Limits


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"max_drop_pp": -0.1}, "max_drop_pp is -0.1; a limit is a number from 0 upwards"),
        ({"max_drop_pp": float("nan")}, "max_drop_pp is nan; a limit is a number from 0 upwards"),
        ({"min_speedup": float("inf")}, "min_speedup is inf; a limit is a number from 0 upwards"),
        ({"max_drop_pp": 100.1}, "max_drop_pp is 100.1; it is a percentage, up to 100"),
        ({"max_class_drop_pp": 101.0}, "max_class_drop_pp is 101.0; it is a percentage, up to 100"),
        ({"min_top1_pct": 100.5}, "min_top1_pct is 100.5; it is a percentage, up to 100"),
        ({"min_top1_pct": 0.0}, "min_top1_pct is 0: a floor of 0 % fails no build; leave it out"),
        (
            {"min_agreement_pct": 0.95},
            "min_agreement_pct is 0.95: 0.95 % fails no build; did you mean 95?",
        ),
        ({"min_top1_pct": 1.0}, "min_top1_pct is 1: 1 % fails no build; did you mean 100?"),
        (
            {"min_speedup": 0.2},
            "min_speedup is 0.2: 0.2 times the speed is slower; did you mean 1.2?",
        ),
        (
            {"max_latency_ratio": 105.0},
            "max_latency_ratio is 105: 105 times the latency fails no build; did you mean 1.05?",
        ),
        ({"max_size_mb": 4e6}, "max_size_mb is 4e+06: no model here has 4e+06 MB; did you mean 4?"),
    ],
)
def test_limits_out_of_range_or_of_another_unit_are_refused(stated, told):
    with pytest.raises(RecipeError) as caught:
        Limits(**stated)
    assert str(caught.value) == told


def test_limits_at_the_ends_of_their_ranges_are_taken():
    Limits(max_drop_pp=0.0, max_class_drop_pp=99.9, min_top1_pct=100.0, min_agreement_pct=1.01)
    Limits(min_speedup=0.5, max_latency_ratio=10.0, max_size_mb=10_000.0)
    assert Limits(min_speedup=0.0).min_speedup == 0.0
    assert (Limits().max_drop_pp, Limits().min_top1_pct) == (1.0, None)
    assert Limits(max_drop_pp=None).drop_budget_pp(90.0) is None
    assert Limits(max_drop_pp=2.5).drop_budget_pp(90.0) == 2.5
    preset = Limits.of_preset("mlperf-99", min_speedup=1.1)
    assert preset.drop_budget_pp(90.0) == pytest.approx(0.9)
    assert preset.min_speedup == 1.1
    assert Limits.of_preset("mlperf-99.9").drop_budget_pp(90.0) == pytest.approx(0.09)


@pytest.mark.parametrize("name", ["min_top1_pct", "min_agreement_pct"])
def test_floors_below_guessing_are_refused(name):
    limits = Limits(**{name: 24.9})
    with pytest.raises(RecipeError) as caught:
        limits.require_above_guessing(4)
    assert str(caught.value) == (
        f"{name} is 24.9: guessing among 4 classes reaches 25.00 %, so it is no floor; state a "
        "percentage above that"
    )
    limits.require_above_guessing(5)
    limits.require_above_guessing(1)
    Limits(**{name: 25.0}).require_above_guessing(4)


@pytest.mark.parametrize(
    "limits",
    [
        {"max_drop_pp": -1.0},
        {"min_agreement_pct": 101.0},
        {"max_size_mb": float("nan")},
        {"kept_pct": 100.5},
    ],
)
def test_limits_out_of_range_are_refused(limits):
    with pytest.raises(RecipeError, match=next(iter(limits))):
        Limits(**limits)


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("min_agreement_pct", 0.95, "did you mean 95?"),
        ("min_top1_pct", 0.875, r"did you mean 87.5?"),
        ("min_top1_pct", 1.0, "did you mean 100?"),
        ("kept_pct", 0.99, "did you mean 99?"),
        ("min_agreement_pct", 0.0, "leave it out"),
        ("min_speedup", 0.2, "did you mean 1.2?"),
        ("max_drop_pp", 100.0, "fails no build; did you mean 1?"),
        ("max_class_drop_pp", 100.0, "fails no build; did you mean 1?"),
        ("max_drop_pp", 0.005, "did you mean 0.5?"),
        ("max_class_drop_pp", 0.049, "did you mean 4.9?"),
        ("max_latency_ratio", 105.0, "did you mean 1.05?"),
        ("max_size_mb", 4_300_000.0, "did you mean 4.3?"),
    ],
)
def test_a_number_that_fails_no_build_is_refused_with_what_was_meant(name, value, meant):
    with pytest.raises(RecipeError, match=re.escape(meant)) as caught:
        Limits(**{name: value})
    assert str(caught.value).startswith(f"{name} is ")


def test_sound_limits_are_taken_as_they_are():
    Limits(0.0, 1.1, 1.5, 0.5, min_speedup=0.5, max_latency_ratio=10.0, max_size_mb=10_000.0)
    Limits(0.05, max_class_drop_pp=99.0, min_speedup=0.0)


@pytest.mark.parametrize("name", ["min_top1_pct", "min_agreement_pct"])
def test_a_floor_that_guessing_reaches_is_none(tmp_path, name):
    report = make_build(tmp_path, 1000)  # four classes
    with pytest.raises(RecipeError, match=f"{name} is 24.9: guessing among 4 classes reaches 25"):
        gate(report, Limits(None, **{name: 24.9}))
    assert gate(report, Limits(None, **{name: 25.0})).decision == "pass"


def test_a_budget_that_guessing_keeps_is_refused(tmp_path):
    report = make_build(tmp_path, 1000)
    with pytest.raises(RecipeError) as caught:
        gate(report, Limits(max_drop_pp=75.0))
    assert str(caught.value) == (
        "max_drop_pp is 75: 75 pp fails no build, for one that guesses among 4 classes loses "
        "75.00 pp; state a smaller budget"
    )
    assert gate(report, Limits(max_drop_pp=74.0)).notes == ()


def test_a_preset_is_a_share_of_fp32s_accuracy():
    assert Limits.of_preset("mlperf-99").drop_budget_pp(90.0) == pytest.approx(0.9)
    assert Limits.of_preset("mlperf-99.9").drop_budget_pp(90.0) == pytest.approx(0.09)

"""Every sentence and every figure of a gate, on evidence that is written down."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from edge_convnext.core.errors import ArtifactError, RecipeError
from edge_convnext.core.intervals import paired_difference_interval, proportion_interval
from edge_convnext.report.gate import accuracy, decide, outputs, speed
from edge_convnext.report.gate.baseline import Baseline, Speed
from edge_convnext.report.gate.criteria import Criterion, decide_above, decide_below
from edge_convnext.report.gate.decide import GateResult, is_strict, judge
from edge_convnext.report.gate.evidence import Evidence, Prediction
from edge_convnext.report.gate.explain import ClassFlips, Flip, explain
from edge_convnext.report.gate.limits import Limits

PATH = Path("build/report.json")


def digest(index):
    """Whose beginning tells it apart."""
    return f"{index:016x}".ljust(64, "0")


def predictions(n, lost=0, won=0, label="a", other="b", start=0):
    """The first ones are lost, the next ones won, the rest right in both."""
    return [
        Prediction(
            digest(index), label, other if lost <= index - start < lost + won else label,
            other if index - start < lost else label, float(index),
        )
        for index in range(start, start + n)
    ]  # fmt: skip


def report_of(classes=("a", "b"), **changes):
    fields = {
        "model": SimpleNamespace(name="atto", classes=classes, num_classes=len(classes)),
        "verdict": SimpleNamespace(ship="int8"), "board": None, "boards": (), "benchmark": None,
        "fallbacks": (),
        "environment": SimpleNamespace(fingerprint="f", versions={"torch": "2"}),
        "stage": lambda name: SimpleNamespace(reason=f"why {name}"),
    }  # fmt: skip
    return SimpleNamespace(**fields | changes)


def evidence_of(pairs, model_bytes=3_500_000, **changes):
    return Evidence(PATH, report_of(**changes), "int8", tuple(pairs), model_bytes)


def baseline_of(pairs, **changes):
    fields = {
        "model": "atto", "precision": "int8", "fingerprint": "f", "versions": {}, "top1_pct": 90.0,
        "speedup_vs_raw_fp32": None, "speedup_vs_raw_fp32_ci95": None, "size_bytes": 1,
        "predictions": {one.sha256[:20]: one.candidate for one in pairs},
    }  # fmt: skip
    return Baseline(**fields | changes)


def pct(interval):
    return tuple(100.0 * limit for limit in interval)


@pytest.mark.parametrize(
    ("interval", "below", "above"),
    [
        ((0.5, 1.0), "pass", "inconclusive"), ((0.5, 1.1), "inconclusive", "inconclusive"),
        ((1.0, 2.0), "inconclusive", "pass"), ((1.1, 2.0), "fail", "pass"),
        ((0.1, 0.9), "pass", "fail"), ((1.0, 1.0), "pass", "pass"),
    ],
)  # fmt: skip
def test_an_interval_is_held_against_a_limit(interval, below, above):
    assert decide_below(interval, 1.0) == below
    assert decide_above(interval, 1.0) == above


def test_a_drop_is_told_with_its_counts_and_its_interval():
    found = accuracy.judge_drop(evidence_of(predictions(200, 3, 1)), 5.0)
    interval = pct(paired_difference_interval(3, 1, 200))
    assert found == Criterion(
        "top1_drop_pp", "pass", 1.0, interval, 5.0,
        f"top-1 INT8 against FP32: a drop of 1.00 pp on 200 images (95 % interval "
        f"{interval[0]:.2f} to {interval[1]:.2f}; 3 lost, 1 won), with a budget of 5.00 pp.",
    )  # fmt: skip
    assert accuracy.judge_drop(evidence_of(predictions(200, 60, 1)), 5.0).decision == "fail"


def test_what_can_not_be_told_yet_says_how_many_images_would_settle_it():
    found = accuracy.judge_drop(evidence_of(predictions(1000, 6, 1)), 1.0)
    assert found.decision == "inconclusive"
    *_, images = [
        int(word.replace(",", ""))
        for word in found.reason.split()
        if word[0].isdigit() and "," in word
    ]
    assert found.reason.endswith(f"; about {images:,} images would settle it if the rates stay.")

    def high(n):
        return 100 * paired_difference_interval(round(0.006 * n), round(0.001 * n), n)[1]

    assert high(images) <= 1.0 < high(images // 2)
    even = accuracy.judge_drop(evidence_of(predictions(200, 4, 2)), 1.0)
    assert even.reason.endswith("; no number of images would settle it, the rate is the limit.")


@pytest.mark.parametrize(
    ("judge_share", "name", "what", "share"),
    [
        (accuracy.judge_top1, "top1_pct", "are classed right", 96),
        (accuracy.judge_agreement, "agreement_pct", "have FP32's class", 92),
    ],
)
def test_a_share_is_told_with_its_interval(judge_share, name, what, share):
    pairs = predictions(100, 4, 4)
    found = judge_share(evidence_of(pairs), 80.0)
    interval = pct(proportion_interval(share, 100))
    assert found == Criterion(
        name, "pass", share, interval, 80.0,
        f"{share}.00 % of 100 images {what} (95 % interval {interval[0]:.2f} to "
        f"{interval[1]:.2f}); at least 80 % was asked for.",
    )  # fmt: skip
    assert judge_share(evidence_of(pairs), 99.5).decision == "fail"
    unsure = judge_share(evidence_of(pairs), share - 1.0)
    assert unsure.decision == "inconclusive"
    assert "images would settle it if the rates stay." in unsure.reason


CLASSES = [
    *predictions(100, 2, 0, "a", start=0), *predictions(100, 40, 0, "b", "a", start=100),
    *predictions(100, 30, 0, "c", "a", start=200), *predictions(100, 0, 3, "d", "a", start=300),
]  # fmt: skip


def test_the_class_that_lost_most_decides_and_the_others_are_counted():
    found = accuracy.judge_class_drops(evidence_of(CLASSES), 5.0)
    assert (found.name, found.decision, found.measured, found.limit) == (
        "class_drop_pp", "fail", 40.0, 5.0,
    )  # fmt: skip
    low, high = found.interval
    assert low > 5.0
    assert found.reason == (
        f"class 'b' drops by 40.00 pp on its 100 images (interval {low:.2f} to {high:.2f}, 95 % "
        "over all classes), and 1 more; the budget is 5 pp per class."
    )
    kept = accuracy.judge_class_drops(evidence_of(CLASSES), 90.0)
    assert (kept.decision, kept.measured) == ("pass", 40.0)
    assert "and " not in kept.reason
    unsure = accuracy.judge_class_drops(evidence_of(CLASSES[:100]), 2.0)
    assert (unsure.decision, unsure.measured) == ("inconclusive", 2.0)
    mixed = accuracy.judge_class_drops(evidence_of(CLASSES), 35.0)
    assert mixed.decision == "inconclusive"
    assert "class 'b'" in mixed.reason
    assert ", and 1 more;" in mixed.reason


def answers(*rows):
    """(label, fp32, candidate) of each image."""
    return [Prediction(digest(at), *row, 1.0) for at, row in enumerate(rows)]


def test_a_baseline_is_compared_image_by_image():
    before = answers(*[("a", "a", "a")] * 18, ("a", "a", "b"), ("b", "b", "b"))
    now = answers(*[("a", "a", "a")] * 16, *[("a", "a", "b")] * 2, ("a", "b", "a"), ("b", "a", "a"))
    evidence, baseline = evidence_of(now), baseline_of(before)
    found = accuracy.judge_baseline_drop(evidence, baseline, 30.0)
    interval = pct(paired_difference_interval(3, 1, 20))
    assert (found.name, found.measured, found.interval) == (
        "top1_drop_vs_baseline_pp", 10.0, pytest.approx(interval),
    )  # fmt: skip
    assert found.reason.startswith("top-1 against the baseline: a drop of 10.00 pp on 20 images")
    best = accuracy.judge_baseline_drop(evidence, baseline, 30.0, "best")
    assert best.name == "top1_drop_vs_best_pp"
    assert best.reason.startswith("top-1 against the best proven build: ")
    classes = accuracy.judge_baseline_class_drops(evidence, baseline, 30.0)
    assert (classes.name, classes.measured) == ("class_drop_vs_baseline_pp", 100.0)
    assert "class 'b' drops by 100.00 pp against the baseline on its 1 images" in classes.reason
    worst = accuracy.judge_baseline_class_drops(evidence, baseline, 30.0, "best")
    assert worst.name == "class_drop_vs_best_pp"
    assert " against the best proven build on its " in worst.reason


def test_a_baseline_of_other_images_is_refused():
    now, before = predictions(100), predictions(100, start=11)
    with pytest.raises(ArtifactError) as caught:
        accuracy.judge_baseline_drop(evidence_of(now), baseline_of(before), 1.0)
    assert str(caught.value) == (
        f"{PATH}: shares 89 of 100 images with the baseline's 100; save a new baseline with these "
        "images"
    )
    accuracy.judge_baseline_drop(evidence_of(now), baseline_of(predictions(100, start=10)), 1.0)


# Speed.


def timed(**changes):
    fields = {
        "speedup_vs_raw_fp32": 3.0, "speedup_vs_raw_fp32_ci95": (2.8, 3.2), "best_float": "conv",
        "hardest_float": "conv",
        "speedup_vs_best_float": 1.5, "speedup_vs_best_float_ci95": (1.4, 1.6),
        "other_load_pct": 1.0, "throttled_periods": None, "observations": "9 loads",
        "rows": [SimpleNamespace(batch=8), SimpleNamespace(batch=1)],
    }  # fmt: skip
    return SimpleNamespace(**fields | changes)


def speed_evidence(**changes):
    return evidence_of(predictions(10), benchmark=timed(**changes))


@pytest.mark.parametrize(
    ("least", "decision"), [(1.4, "pass"), (1.5, "inconclusive"), (1.7, "fail")]
)
def test_a_speedup_over_the_best_float_is_held_against_its_floor(least, decision):
    assert speed.judge_speedup(speed_evidence(), least) == Criterion(
        "speedup_vs_best_float", decision, 1.5, (1.4, 1.6), least,
        f"1.50x the speed of the best float (95 % interval over 9 loads 1.40 to 1.60); at least "
        f"{least:g}x was asked for.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"speedup_vs_best_float": None}, "was not timed beside it"),
        ({"speedup_vs_best_float_ci95": None}, "has no interval, of fewer than 6 rounds"),
        (
            {"other_load_pct": 40.0},
            "was timed while other programs took 40 % of the CPU (at most 5 % is quiet); time it "
            "again on an idle machine",
        ),
    ],
)
def test_a_speedup_that_tells_nothing_says_why(changes, why):
    found = speed.judge_speedup(speed_evidence(**changes), 1.0)
    assert found.decision == "inconclusive"
    assert found.reason.startswith("the speed-up over the best float is not known: it ")
    if "other_load_pct" not in changes:
        assert found.reason == (
            f"the speed-up over the best float is not known: it {why}; at least 1x was asked for."
        )
    assert (found.measured, found.interval) == (
        changes.get("speedup_vs_best_float", 1.5) if "speedup_vs_best_float" in changes else 1.5,
        None if "speedup_vs_best_float_ci95" in changes else (1.4, 1.6),
    )


def test_without_timings_speed_is_not_gated():
    with pytest.raises(ArtifactError) as caught:
        speed.judge_speedup(evidence_of(predictions(10)), 1.0)
    assert str(caught.value) == (
        f"{PATH}: the benchmark stage did not run (why benchmark), so speed can't be gated; build "
        "with --target cpu, or leave the limit out"
    )
    with pytest.raises(ArtifactError, match=f"^{PATH}: a latency ratio needs --baseline$"):
        speed.judge_latency_ratio(speed_evidence(), None, 1.0)
    assert speed.why_no_baseline_of_speed(evidence_of(predictions(10))) is None
    assert speed.why_no_baseline_of_speed(speed_evidence()) is None
    assert "other programs" in speed.why_no_baseline_of_speed(speed_evidence(other_load_pct=50.0))


THEN = Speed(
    fingerprint="f", speedup_vs_raw_fp32=3.3, speedup_vs_raw_fp32_ci95=(3.2, 3.4),
    best_float="conv", speedup_vs_best_float=1.2, speedup_vs_best_float_ci95=(1.1, 1.3), batch=1,
    other_load_pct=1.0, throttled_periods=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("most", "decision"), [(1.3, "pass"), (1.1, "inconclusive"), (0.9, "fail")]
)
def test_a_latency_is_compared_through_raw_fp32(most, decision):
    found = speed.judge_latency_ratio(speed_evidence(), THEN, most)
    interval = (3.2 / 3.2, 3.4 / 2.8)
    assert (found.name, found.decision, found.measured, found.interval, found.limit) == (
        "latency_ratio_vs_baseline", decision, pytest.approx(1.1), pytest.approx(interval), most,
    )  # fmt: skip
    assert found.reason == (
        "1.100 times the baseline's latency, both against raw FP32 in their own run (1.000 to "
        f"1.214); at most {most:g} was asked for."
    )
    best = speed.judge_latency_ratio(speed_evidence(), THEN, most, "best")
    assert best.name == "latency_ratio_vs_best"
    assert best.reason.startswith("1.100 times the best proven build's latency, ")


def test_on_a_board_latency_is_compared_through_the_best_float():
    none = {"speedup_vs_raw_fp32": None, "speedup_vs_raw_fp32_ci95": None}
    found = speed.judge_latency_ratio(speed_evidence(**none), replace(THEN, **none), 2.0)
    assert found.measured == pytest.approx(0.8)
    assert found.interval == pytest.approx((1.1 / 1.6, 1.3 / 1.4))
    assert "both against the best float, conv, in their own run" in found.reason


NO_RAW = {"speedup_vs_raw_fp32": None}


@pytest.mark.parametrize(
    ("now", "then", "why"),
    [
        ({}, {"fingerprint": "g"}, "the baseline was timed on another machine"),
        ({}, {"batch": 8}, "this build was timed at batch 1, the baseline at batch 8"),
        (
            {"rows": [SimpleNamespace(batch=4)]}, {"batch": None},
            "this build was timed at batch 4, the baseline at batch 1",
        ),
        (NO_RAW, {}, "this build was not raced against raw FP32"),
        ({}, NO_RAW, "the baseline was not raced against raw FP32"),
        (
            NO_RAW, {**NO_RAW, "best_float": "nhwc"},
            "it was raced against conv, the baseline against another",
        ),
        (
            {**NO_RAW, "speedup_vs_best_float": None}, NO_RAW,
            "this build was not raced against the best float",
        ),
        (
            NO_RAW, {**NO_RAW, "speedup_vs_best_float": None},
            "the baseline was not raced against the best float",
        ),
        (
            {"speedup_vs_raw_fp32_ci95": None}, {},
            "this build has no interval, of fewer than 6 rounds",
        ),
        (
            {}, {"speedup_vs_raw_fp32_ci95": None},
            "the baseline has no interval, of fewer than 6 rounds",
        ),
        ({"speedup_vs_raw_fp32": 0.0}, {}, "a speed-up of 0 is no measurement"),
        ({"speedup_vs_raw_fp32_ci95": (0.0, 4.0)}, {}, "a speed-up of 0 is no measurement"),
        ({}, {"speedup_vs_raw_fp32_ci95": (0.0, 4.0)}, "a speed-up of 0 is no measurement"),
    ],
)  # fmt: skip
def test_latencies_that_can_not_be_compared_say_why(now, then, why):
    found = speed.judge_latency_ratio(speed_evidence(**now), replace(THEN, **then), 1.5)
    assert found == Criterion(
        "latency_ratio_vs_baseline", "inconclusive", None, None, 1.5,
        f"latency can't be compared with the baseline's: {why}.",
    )  # fmt: skip


def test_a_busy_machine_is_told_of_whichever_build_it_was():
    for now, then, who in (
        ({"other_load_pct": 50.0}, {}, "this build"),
        ({}, {"other_load_pct": 50.0}, "the baseline"),
    ):
        found = speed.judge_latency_ratio(speed_evidence(**now), replace(THEN, **then), 1.5)
        assert f"'s: {who} was timed while other programs took 50 %" in found.reason


@pytest.mark.parametrize(("most", "decision"), [(3.5, "pass"), (3.49, "fail")])
def test_size_is_in_millions_of_bytes(most, decision):
    assert speed.judge_size(evidence_of(predictions(10)), most) == Criterion(
        "size_mb", decision, 3.5, None, most,
        f"the int8 model has 3.50 MB; at most {most:g} was asked for.",
    )  # fmt: skip


# Limits.


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


# The whole.


def test_criteria_are_those_that_were_asked_for_in_one_order():
    pairs = predictions(300, 2, 1)
    evidence = evidence_of(pairs, benchmark=timed())
    limits = Limits(
        max_drop_pp=5.0, min_top1_pct=60.0, min_agreement_pct=60.0, max_class_drop_pp=50.0,
        min_speedup=1.0, max_latency_ratio=2.0, max_size_mb=5.0,
    )  # fmt: skip
    alone = ["top1_drop_pp", "top1_pct", "agreement_pct", "class_drop_pp", "speedup_vs_best_float"]
    found = judge(evidence, replace(limits, max_latency_ratio=None))
    assert [one.name for one in found.criteria] == [*alone, "size_mb"]
    assert [one.limit for one in found.criteria] == [5.0, 60.0, 60.0, 50.0, 1.0, 5.0]
    assert (found.report, found.model, found.precision) == ("build/report.json", "atto", "int8")
    assert (found.n_images, found.decision) == (300, "pass")
    assert (found.top1_pct, found.fp32_top1_pct) == pytest.approx(
        (100 * 298 / 300, 100 * 299 / 300)
    )
    baseline = baseline_of(pairs, **{name: getattr(THEN, name) for name in vars(THEN)})
    with_best = replace(baseline, best_predictions={"x": "a"}, best_speed=THEN)
    names = [one.name for one in judge(evidence, limits, with_best).criteria]
    assert names == [
        "top1_drop_pp", "top1_drop_vs_baseline_pp", "top1_drop_vs_best_pp", "top1_pct",
        "agreement_pct", "class_drop_pp", "class_drop_vs_baseline_pp", "class_drop_vs_best_pp",
        "speedup_vs_best_float", "latency_ratio_vs_baseline", "latency_ratio_vs_best", "size_mb",
    ]  # fmt: skip
    plain = [one.name for one in judge(evidence, limits, baseline).criteria]
    assert plain == [
        name for name in names if "best_pp" not in name and name != "latency_ratio_vs_best"
    ]


def test_a_gate_of_nothing_is_refused_and_one_of_a_budget_that_fails_nobody_says_so():
    with pytest.raises(ArtifactError) as caught:
        judge(evidence_of(predictions(10)), Limits(max_drop_pp=None))
    assert str(caught.value) == f"{PATH}: no limit was stated; a gate of nothing always passes"
    half = [replace(one, fp32="a", candidate="a", label="ab"[i % 2]) for i, one in
            enumerate(predictions(10))]  # fmt: skip
    loose = judge(evidence_of(half), Limits(max_drop_pp=0.5))
    assert loose.notes == ("A budget of 0.5 pp fails no model: one that guesses loses 0.00 pp.",)
    with pytest.raises(RecipeError, match="max_drop_pp is 50: 50 pp fails no build"):
        judge(evidence_of(predictions(10)), Limits(max_drop_pp=50.0))
    assert judge(evidence_of(predictions(10)), Limits(max_drop_pp=49.0)).notes == ()


def test_a_baseline_that_fell_with_fp32_hints_at_what_comes_before_the_quantization():
    now = predictions(400, 0, 0)
    wrong = [replace(one, fp32="b", candidate="b") for one in now[:100]] + now[100:]
    found = judge(evidence_of(wrong), Limits(), baseline_of(now))
    hint = (
        "FP32 fell with it: look at the weights, the class order, mean and std and the image size "
        "before the quantization."
    )
    assert hint in found.notes
    assert hint not in judge(evidence_of(predictions(400, 100)), Limits(), baseline_of(now)).notes


CRITERIA = {
    name: Criterion(f"c_{name}", name, 1.234, (0.5, 2.25), 3.0, f"why <{name}> 100%\x1b")
    for name in ("pass", "fail", "inconclusive")
}


def result_of(*decisions, notes=("a note & more",)):
    criteria = tuple(CRITERIA[one] for one in decisions)
    return GateResult("r.json", "at_to", "int8", 1234, 95.125, 96.5, criteria, notes)


@pytest.mark.parametrize(
    ("decisions", "decision", "loose", "strict"),
    [
        (("pass", "pass"), "pass", True, True),
        (("pass", "inconclusive"), "inconclusive", True, False),
        (("inconclusive", "fail", "pass"), "fail", False, False),
    ],
)
def test_one_failure_fails_and_one_doubt_is_a_doubt(decisions, decision, loose, strict):
    found = result_of(*decisions)
    assert (found.decision, found.passed(False), found.passed(True)) == (decision, loose, strict)


@pytest.mark.parametrize(
    ("value", "strict"),
    [("", False), ("0", False), ("false", False), ("No", False), (" off ", False), ("true", True),
     ("1", True), ("GitHub", True)],
)  # fmt: skip
def test_ci_is_strict_unless_something_else_was_said(monkeypatch, value, strict):
    monkeypatch.setenv("CI", value)
    assert is_strict(None) is strict
    assert is_strict(not strict) is (not strict)
    monkeypatch.delenv("CI")
    assert is_strict(None) is False


def test_the_text_has_a_line_for_each_criterion_and_note():
    head = "             int8 top-1 95.12 %, FP32 96.50 %, 1,234 images"
    assert outputs.to_text(result_of("pass", "inconclusive"), strict=False).splitlines() == [
        head,
        r"pass         why <pass> 100%\x1b",
        r"inconclusive why <inconclusive> 100%\x1b",
        "note         a note & more",
        "Gate: inconclusive, which passes without --strict.",
    ]
    last = outputs.to_text(result_of("inconclusive"), strict=True).splitlines()[-1]
    assert last == "Gate: inconclusive, which fails under --strict."
    assert outputs.to_text(result_of("fail"), strict=True).endswith("\nGate: fail.")


def test_the_document_has_every_field_of_the_result():
    found = json.loads(json.dumps(outputs.to_json(result_of("inconclusive"), strict=True)))
    assert found == {
        "schema": "edge-convnext/gate/1", "report": "r.json", "model": "at_to", "precision": "int8",
        "n_images": 1234, "top1_pct": 95.125, "fp32_top1_pct": 96.5, "notes": ["a note & more"],
        "criteria": [
            {
                "name": "c_inconclusive", "decision": "inconclusive", "measured": 1.234,
                "interval": [0.5, 2.25], "limit": 3.0, "reason": "why <inconclusive> 100%\x1b",
            }
        ],
        "decision": "inconclusive", "strict": True, "passed": False,
    }  # fmt: skip
    assert outputs.to_json(result_of("inconclusive"), strict=False)["passed"] is True


def junit(text):
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ')
    assert text.endswith("</testsuites>\n")
    return ElementTree.fromstring(text.partition("\n")[2])


@pytest.mark.parametrize("strict", [True, False])
def test_junit_has_one_case_for_each_criterion(strict):
    root = junit(outputs.to_junit(result_of("pass", "fail", "inconclusive"), strict))
    counts = {"name": "edge-convnext gate", "tests": "3", "errors": "0"}
    failures = {"failures": "2" if strict else "1"}
    assert root.attrib == counts | failures
    (suite,) = root
    assert suite.tag == "testsuite"
    assert suite.attrib == counts | failures | {"skipped": "0" if strict else "1"}
    cases = suite.findall("testcase")
    assert [one.attrib for one in cases] == [
        {"classname": "at_to.int8", "name": f"c_{name}"}
        for name in ("pass", "fail", "inconclusive")
    ]
    assert cases[0].find("system-out").text == r"why <pass> 100%\x1b"
    assert cases[1].find("failure").attrib == {"message": r"why <fail> 100%\x1b", "type": "fail"}
    third = cases[2].find("failure" if strict else "skipped").attrib
    assert third["message"] == r"why <inconclusive> 100%\x1b"
    assert third.get("type") == ("inconclusive" if strict else None)
    assert [len(one) for one in cases] == [1, 1, 1]
    assert suite.find("system-out").text == "a note & more"
    assert (
        junit(outputs.to_junit(result_of("pass", notes=()), strict))[0].find("system-out") is None
    )


def test_markdown_shows_text_of_others_as_it_is():
    text = outputs.to_markdown(result_of("pass", "inconclusive"), strict=False)
    assert text.splitlines() == [
        "### ⚠️ edge-convnext gate: at\\_to int8",
        "",
        "int8 top-1 95.12 %, FP32 96.50 %, 1,234 images",
        "",
        "| | criterion | measured | 95 % interval | limit |",
        "|---|---|---|---|---|",
        "| ✅ pass | `c_pass` | 1.23 | 0.50 to 2.25 | 3 |",
        "| ⚠️ inconclusive | `c_inconclusive` | 1.23 | 0.50 to 2.25 | 3 |",
        "",
        "- why \\<pass\\> 100%\\\\x1b",
        "- why \\<inconclusive\\> 100%\\\\x1b",
        "- a note \\& more",
        "",
        "Gate: inconclusive, which passes without --strict.",
    ]
    assert text.endswith(".\n")
    assert outputs.to_markdown(result_of("inconclusive"), strict=True).startswith("### ❌ ")
    assert outputs.to_markdown(result_of("pass"), strict=True).startswith("### ✅ ")
    exact = replace(CRITERIA["fail"], measured=None, interval=None)
    shown = outputs.to_markdown(replace(result_of(), criteria=(exact,)), strict=True)
    assert "| ❌ fail | `c_fail` | - | - | 3 |" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@all", "@&#8203;all"), ("a#1", "a\\#&#8203;1"), ("http://x", "http://&#8203;x"),
        ("WWW.x.y", "WWW&#8203;.x.y"), ("www", "www"),
        ("*_[]<>|~&$`\\", r"\*\_\[\]\<\>\|\~\&\$\`\\"),
    ],
)  # fmt: skip
def test_markdown_links_and_notifies_nobody(text, shown):
    assert outputs._md(text) == shown


def test_annotations_are_commands_by_what_was_decided():
    found = outputs.to_annotations(result_of("pass", "inconclusive", "fail"), strict=False)
    assert found.splitlines() == [
        r"::notice title=edge-convnext gate c_pass::why <pass> 100%25\x1b",
        r"::warning title=edge-convnext gate c_inconclusive::why <inconclusive> 100%25\x1b",
        r"::error title=edge-convnext gate c_fail::why <fail> 100%25\x1b",
        "::notice title=edge-convnext gate::a note & more",
    ]
    assert outputs.to_annotations(result_of("inconclusive"), strict=True).startswith("::error ")


def test_a_refusal_has_its_place_in_every_format():
    root = junit(outputs.refusal_junit("no <report>\x1b"))
    counts = {"name": "edge-convnext gate", "tests": "1", "failures": "0", "errors": "1"}
    assert root.attrib == counts
    (case,) = root[0]
    assert root[0].attrib == counts | {"skipped": "0"}
    assert case.attrib == {"classname": "edge-convnext gate", "name": "report"}
    assert case.find("error").attrib == {"message": r"no <report>\x1b", "type": "refused"}
    assert outputs.refusal_markdown("no <report>") == (
        "### ❌ edge-convnext gate: refused\n\nno \\<report\\>\n"
    )
    assert (
        outputs.refusal_annotation("50% of it") == "::error title=edge-convnext gate::50%25 of it\n"
    )


def test_flips_are_explained_the_worst_class_and_the_surest_loss_first():
    pairs = [
        *predictions(4, 2, 1, "a", "b"), *predictions(3, 1, 0, "b", "a", start=4),
        *predictions(2, 0, 0, "c", "a", start=7), *predictions(4, 1, 1, "d", "a", start=9),
    ]  # fmt: skip
    found = explain(evidence_of(pairs))
    assert found.against == "fp32"
    assert found.classes == (
        ClassFlips("b", 3, 1, 0), ClassFlips("a", 4, 2, 1), ClassFlips("d", 4, 1, 1),
    )  # fmt: skip
    assert [one.drop_pp for one in found.classes] == pytest.approx([100 / 3, 25.0, 0.0])
    assert [int(one.sha256[:16], 16) for one in found.flips] == [9, 4, 1, 0, 10, 2]
    assert found.flips[0] == Flip(pairs[9].sha256, "d", "d", "a", 9.0)
    assert [one.lost for one in found.flips] == [True] * 4 + [False] * 2
    before = baseline_of(pairs[1:5])
    against = explain(evidence_of([replace(one, candidate="z") for one in pairs]), before)
    assert against.against == "the baseline"
    assert [int(one.sha256[:16], 16) for one in against.flips] == [3, 2, 4, 1]
    assert against.classes == (ClassFlips("a", 4, 2, 0), ClassFlips("b", 3, 0, 0))


def test_the_gate_reads_before_it_judges(monkeypatch):
    calls = []
    monkeypatch.setattr(decide, "read_evidence", lambda path: ("evidence", path))
    monkeypatch.setattr(decide, "judge", lambda *arguments: calls.append(arguments))
    decide.gate(PATH)
    decide.gate(PATH, Limits(max_drop_pp=3.0), "baseline")
    assert calls == [
        (("evidence", PATH), Limits(), None),
        (("evidence", PATH), Limits(max_drop_pp=3.0), "baseline"),
    ]

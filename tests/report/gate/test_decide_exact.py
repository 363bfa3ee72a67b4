from dataclasses import replace

import pytest
from support.gate_parts import PATH, THEN, baseline_of, evidence_of, predictions, result_of, timed

from edge_convnext.core.errors import ArtifactError, RecipeError
from edge_convnext.report.gate import decide
from edge_convnext.report.gate.decide import is_strict, judge
from edge_convnext.report.gate.limits import Limits


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

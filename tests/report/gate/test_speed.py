from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.gate_parts import PATH, THEN, evidence_of, predictions, timed

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.gate import speed
from edge_convnext.report.gate.criteria import Criterion


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
            "again on a quiet machine",
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
            "this build was raced against conv, the baseline against another",
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

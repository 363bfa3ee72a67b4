from dataclasses import replace

import pytest
from support.comparisons import SPEED, side
from support.example_report import BENCHMARK, example_fields, example_report, without_measurements

from edge_convnext.report.compare.speeds import (
    Timing,
    board_findings,
    latency_finding,
    size_finding,
    timings_of_both,
)


def sides(speedup=3.0, interval=(2.9, 3.1), **changes):
    fields = {"speedup_vs_raw_fp32": speedup, "speedup_vs_raw_fp32_ci95": interval}
    slower = replace(SPEED, **fields | changes)
    return side([]), side([], called="B", speed=slower)


@pytest.mark.parametrize(
    ("speedup", "interval", "outcome"),
    [(3.0, (2.9, 3.1), "same"), (2.0, (1.9, 2.1), "worse"), (4.0, (3.9, 4.1), "better")],
)
def test_latency_is_a_ratio_of_speed_ups(speedup, interval, outcome):
    found = latency_finding(*sides(speedup, interval))
    assert found.outcome == outcome
    assert found.change == pytest.approx(3.0 / speedup)
    assert "each against raw FP32 in its own run" in found.text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fingerprint": "g"}, "A was timed on another machine"),
        ({"batch": 8}, "B was timed at batch 8, A at batch 1"),
        ({"speedup_vs_raw_fp32": 5e-324}, "a speed-up near 0 is no measurement"),
        ({"other_load_pct": 40.0}, "B was timed while other programs took 40 %"),
    ],
)
def test_latency_that_does_not_compare_says_why(changes, why):
    found = latency_finding(*sides(**changes))
    assert found.outcome == "unknown"
    assert why in found.text


def test_speed_ups_of_other_work_do_not_compare_but_milliseconds_are_told():
    fields = example_fields()
    small = example_report(model={**fields["model"], "image_size": 96})
    rows = [{**row, "threads": 1} for row in BENCHMARK["rows"]]
    single = example_report(benchmark={**BENCHMARK, "rows": rows})
    before = side([], report=example_report())
    for now, why in (
        (side([], called="B", report=example_report(), model="femto"), "the networks differ"),
        (side([], called="B", report=small), "the images have 128 px in A and 96 px in B"),
        (side([], called="B", report=single), "A was timed with 2 threads, B with 1"),
    ):
        found = latency_finding(before, now)
        assert found.outcome == "unknown"
        assert why in found.text
        assert "(in runs of their own: 2.56 ms and 2.56 ms)" in found.text
        assert list(board_findings(before, now)) == []
    elsewhere = side([], called="B", model="femto", speed=replace(SPEED, fingerprint="g"))
    assert " ms" not in latency_finding(before, elsewhere).text
    assert " ms" not in latency_finding(side([]), side([], called="B", model="femto")).text


def test_a_build_that_was_not_timed_says_why():
    report = example_report(**without_measurements("benchmark", reason="no cpu target"))
    found = latency_finding(side([]), side([], called="B", report=report))
    assert found.text == "Latency: not compared, B was not timed (no cpu target)."


@pytest.mark.parametrize(
    ("size", "outcome"), [(4_030_000, "same"), (4_100_000, "worse"), (3_900_000, "better")]
)
def test_sizes_are_exact_but_names_in_a_file_are_no_difference(size, outcome):
    assert size_finding(side([]), side([], called="B", size_bytes=size)).outcome == outcome
    assert size_finding(side([]), side([], size_bytes=None, called="B")).outcome == "unknown"


def test_times_stand_side_by_side_on_one_machine_alone():
    slower = [{**row, "latency_ms_p50": 2 * row["latency_ms_p50"]} for row in BENCHMARK["rows"]]
    slow = example_report(benchmark={**BENCHMARK, "rows": slower})
    before, now = side([], report=example_report()), side([], called="B", report=slow)
    timings, why = timings_of_both(before, now)
    assert why is None
    assert [one.ratio for one in timings] == pytest.approx([2.0] * len(slower))
    other = replace(now, speed=replace(SPEED, fingerprint="g"))
    assert "different machines" in timings_of_both(before, other)[1]
    assert timings_of_both(before, side([]))[1] == "a baseline keeps no times"
    untimed = example_report(**without_measurements("benchmark"))
    assert "no candidate" in timings_of_both(before, side([], report=untimed))[1]
    assert [Timing("x", 1, ms, 1.0, 1, 1).ratio for ms in (0.0, 5e-324)] == [None, None]


def test_boards_are_compared_by_name_and_fingerprint():
    report = example_report()
    run = {
        "created": report.created, "environment": report.environment, "verdict": report.verdict,
        "accuracy": report.accuracy, "benchmark": report.benchmark,
        "board": {"name": "nano", "bundle_sha256": "0" * 64, "graphs": [], "ships": None},
    }  # fmt: skip
    both = example_report(boards=[run])
    (found,) = board_findings(side([], report=both), side([], called="B", report=both))
    assert (found.measure, found.outcome) == ("latency_ratio on nano", "same")
    other = {**run, "board": {**run["board"], "name": "xavier"}}
    now = side([], called="B", report=example_report(boards=[other]))
    assert list(board_findings(side([], report=both), now)) == []
    assert list(board_findings(side([]), now)) == []

import pytest
from support.example_report import BENCHMARK
from support.verdicts import benchmark

from edge_convnext.report.speed_words import (
    interval_note,
    show_ratio,
    show_vs_raw,
    timed_once_note,
    why_loose,
)

RAW, CHOSEN = BENCHMARK["raw_fp32"], BENCHMARK["chosen"]


@pytest.mark.parametrize(
    ("interval", "skewed", "shown"),
    [
        ((1.1, 1.3), False, "1.20x"),
        ((1.0, 3.0), False, "1.20x"),
        ((1.0, 3.01), False, ">1.00x"),
        ((1.1, 1.3), True, ">1.10x"),
        (None, False, "1.20x"),
        (None, True, None),
    ],
)
def test_an_estimate_that_says_little_gives_way_to_the_lower_end(interval, skewed, shown):
    timed = benchmark(other_load_pct=60.0 if skewed else 0.0)
    assert show_ratio(1.2, interval, timed) == shown


def test_the_reason_names_the_load_or_the_interval():
    assert why_loose(benchmark(), (1.1, 1.3)) is None
    assert why_loose(benchmark(), (1.63, 44.57)) == (
        "the interval's ends are more than a factor of 3 apart"
    )
    busy = why_loose(benchmark(other_load_pct=96.0), (1.1, 1.3))
    assert busy.startswith("other programs took 96 % of the CPU")
    assert "quota" in why_loose(benchmark(throttled_periods=3), None)


def test_on_a_busy_machine_only_rows_with_an_interval_have_a_ratio_to_the_raw_export():
    busy = benchmark(other_load_pct=96.0, speedup_vs_raw_fp32=18.96,
                     speedup_vs_raw_fp32_ci95=[1.63, 44.57])  # fmt: skip
    rows = {row.artifact: row for row in busy.rows if row.batch == 1}
    assert show_vs_raw(busy, rows[RAW], False) == "1.00x"
    assert show_vs_raw(busy, rows[CHOSEN], True) == ">1.63x"
    assert show_vs_raw(busy, rows[CHOSEN], False) is None
    assert interval_note(busy).endswith(
        "1.63 to 44.57 where chosen, of which > is the lower end, for other programs took 96 % of "
        "the CPU (at most 10 % is quiet)"
    )


def test_on_a_quiet_machine_the_ratios_stand():
    quiet = benchmark(speedup_vs_raw_fp32=2.0, speedup_vs_raw_fp32_ci95=[1.9, 2.1])
    row = next(row for row in quiet.rows if row.artifact == CHOSEN and row.batch == 1)
    assert show_vs_raw(quiet, row, True) == "2.00x"
    assert show_vs_raw(quiet, row, False) == "2.23x"
    assert show_vs_raw(quiet, row.model_copy(update={"latency_ms_p50": 0.0}), False) is None
    assert interval_note(quiet) == "; vs raw: 95 % interval over rounds 1.90 to 2.10 where chosen"
    assert interval_note(benchmark(speedup_vs_raw_fp32_ci95=None)) == ""


def test_what_was_timed_once_is_counted_and_nothing_is_told_without_rows():
    (told,) = timed_once_note(benchmark(timed_once=["a"]))
    assert told.startswith("1 of 4 were timed at batch 1 alone")
    assert timed_once_note(benchmark(timed_once=["a"], rows=[])) == []
    assert timed_once_note(benchmark()) == []


def test_a_row_that_took_no_time_has_no_ratio():
    quiet = benchmark()
    row = quiet.rows[0].model_copy(update={"latency_ms_p50": 0.0})
    assert show_vs_raw(quiet, row, False) is None

"""The table of throughput in `report.md`."""

import pytest
from support.example_report import example_report
from support.throughput import PART

from edge_convnext.report.markdown import to_markdown
from edge_convnext.report.speed_words import why_loose
from edge_convnext.report.throughput import ThroughputReport
from edge_convnext.report.throughput_table import (
    throughput_headings,
    throughput_remarks,
    throughput_rows,
)


def test_a_row_tells_its_streams_and_whether_it_is_the_best():
    part = ThroughputReport.model_validate({**PART, "percentile": 99.5})
    assert throughput_headings(part)[-2:] == ("p99.5 ms", "best")
    rows = throughput_rows(part)
    assert {len(row) for row in rows} == {len(throughput_headings(part))}
    assert rows[0][2:] == ("1", "2", "2", "300", "6.00", "-", "yes")
    assert rows[1][3] == "1"
    assert rows[1][-1] == ""


def test_both_ratios_are_said_with_their_intervals():
    ratios = {"vs_raw_fp32": 3.0, "vs_raw_fp32_ci95": (2.5, 3.5), "vs_best_float": 1.25}
    part = ThroughputReport.model_validate({**PART, **ratios})
    assert throughput_remarks(part) == [
        "Images per second over raw FP32's, each at its best setting: 3.00x (95 % interval over "
        "rounds: 2.50 to 3.50).",
        "Images per second over the best float's, each at its best setting: 1.25x.",
    ]
    assert throughput_remarks(ThroughputReport.model_validate(PART)) == []


@pytest.mark.parametrize("disturbed", [{"other_load_pct": 96.0}, {"throttled_periods": 3}])
def test_on_a_busy_machine_report_md_quotes_what_the_terminal_quotes(disturbed):
    ratios = {"vs_raw_fp32": 3.0, "vs_raw_fp32_ci95": (2.5, 3.5), "vs_best_float": 1.25}
    part = ThroughputReport.model_validate({**PART, **ratios, **disturbed})
    raw, best = throughput_remarks(part)
    why = why_loose(part, None)
    assert raw.endswith(
        f">2.50x (95 % interval over rounds: 2.50 to 3.50; > is the lower end, for {why})."
    )
    assert best.endswith(f"each at its best setting: not told, for {why}.")
    text = to_markdown(example_report(throughput={**PART, **ratios, **disturbed}))
    assert "3.00x" not in text
    assert "1.25x" not in text


def test_report_md_has_it_only_where_it_was_measured():
    assert "## Throughput" in to_markdown(example_report(throughput=PART))
    assert "## Throughput" not in to_markdown(example_report())

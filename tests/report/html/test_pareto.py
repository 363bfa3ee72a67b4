from support.example_report import (
    ACCURACY,
    BENCHMARK,
    ORT_INT8,
    OV_INT8,
    example_report,
    row,
    without_measurements,
)

from edge_convnext.report.html.pareto import pareto_section, points
from edge_convnext.report.html.parts import Limits


def test_candidates_that_were_timed_and_evaluated_are_drawn_the_fastest_first():
    report = example_report()
    found = points(report)
    assert [one.row.artifact for one in found] == [OV_INT8["artifact"], "int8 linear onnxruntime"]
    assert [one.chosen for one in found] == [True, False]
    assert [one.front for one in found] == [True, True]  # the slower one loses less
    (words, figure) = pareto_section(report, Limits()).blocks
    assert words.kind == "words"
    assert [cells[0] for cells in figure.table.rows] == ["1", "2"]
    assert [cells[-1] for cells in figure.table.rows] == ["yes", ""]
    assert {"ring", "limit", "int8"} == {css for css, _ in figure.picture.legend}
    assert "budget 1.00 pp" in {one.text for one in figure.picture.shapes}


def test_the_interval_of_a_latency_is_over_rounds():
    rounds = {"round_latency_ms_p50": [2.4, 2.5, 2.6, 2.7, 2.8, 2.9]}
    rows = [{**row(OV_INT8, 1, 2.56, 4_000_000), **rounds}]
    (one,) = points(example_report(benchmark={**BENCHMARK, "rows": rows}))
    assert one.latency_ms == (2.4, 2.9)
    (none, _) = points(example_report())
    assert none.latency_ms is None  # fewer than six rounds tell none


def test_without_both_measurements_it_says_so():
    (block,) = pareto_section(example_report(**without_measurements("evaluate")), Limits()).blocks
    assert block.text == "No candidate was both timed and evaluated."


def test_what_may_not_ship_is_not_on_the_front_and_keeps_no_other_from_it():
    refused = [{**OV_INT8, "reason": "wrong there"}]
    even = [{**one, "top1_drop_pp": 0.0} for one in ACCURACY["candidates"]]
    report = example_report(refused=refused, accuracy={**ACCURACY, "candidates": even})
    assert [(one.row.artifact, one.front) for one in points(report)] == [
        (OV_INT8["artifact"], False),
        (ORT_INT8["artifact"], True),
    ]

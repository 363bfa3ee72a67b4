"""The tables of what was found where candidates run."""

from support.example_report import FLOAT, ORT_INT8, OV_INT8, RAW, example_report

from edge_convnext.report.in_runtime import (
    PRODUCT_HEADINGS,
    REFUSED_HEADINGS,
    fastest_fit,
    mark_refused,
    product_rows,
    refused_rows,
)
from edge_convnext.report.markdown import to_markdown
from edge_convnext.report.summary import summary_rows

ONE = {"artifact": "a.onnx openvino f32", "form": "raw", "placement": "dense", "precision": "int8",
       "runtime": "openvino", "precision_hint": "f32"}  # fmt: skip
REFUSED = {**ONE, "reason": "OpenVINO computes something else", "rule": "concat-int8",
           "node": "fused/Conv", "sqnr_db": 4.12, "onnxruntime_sqnr_db": 23.1,
           "n_images": 32}  # fmt: skip


def products(found, reason=None, in_float=(), beyond=()):
    moved = {
        key: [{"node": node, "reason": why} for node, why in of]
        for key, of in (("in_float", in_float), ("beyond_plan", beyond))
    }
    return {**ONE, "planned_int8_products": 9, "found_int8_products": found, "reason": reason,
            **moved}  # fmt: skip


def test_what_was_refused_is_told_with_both_figures_and_the_rule():
    report = example_report(refused=[REFUSED, {**REFUSED, "rule": None, "sqnr_db": None}])
    first, second = refused_rows(report)
    assert first == (
        "a.onnx openvino f32", "raw openvino f32", "4.1", "23.1", "concat-int8", "fused/Conv",
        "OpenVINO computes something else",
    )  # fmt: skip
    assert len(first) == len(REFUSED_HEADINGS)
    assert (second[2], second[4]) == ("-", "-")


def test_a_refused_candidate_that_was_timed_is_marked():
    report = example_report(refused=[REFUSED])
    name = REFUSED["artifact"]
    assert mark_refused(report, name) == f"{name} (refused, may not ship)"
    assert mark_refused(report, "other") == "other"


def test_products_that_moved_are_named_and_the_rest_counted():
    float_ones = [(f"{number}/Conv", "no pair") for number in range(7)]
    report = example_report(
        int8_products=[
            products(9),
            products(None, "not run: why"),
            products(2, None, float_ones, [("gate/Conv", "its own rule")]),
        ]
    )
    whole, untold, some = product_rows(report)
    assert whole == ("a.onnx openvino f32", "9", "9", "")
    assert len(whole) == len(PRODUCT_HEADINGS)
    assert untold[2:] == ("-", "not run: why")
    assert some[3].startswith("0/Conv in float: no pair; 1/Conv in float: no pair; ")
    assert some[3].endswith(
        "; 4/Conv in float: no pair; and 2 more in float; gate/Conv in INT8: its own rule"
    )


def test_the_markdown_has_them_where_there_are_some():
    assert "## Refused" not in to_markdown(example_report())
    text = to_markdown(example_report(refused=[REFUSED], int8_products=[products(9)]))
    assert "## Refused: wrong where they would run" in text
    assert "| concat-int8 | fused/Conv |" in text
    assert "## Products in INT8" in text


def test_the_fastest_that_may_ship_skips_what_is_refused():
    report = example_report(refused=[{**OV_INT8, "reason": "wrong there"}])
    rows = [one for one in report.benchmark.rows if one.batch == 1]
    assert [one.artifact for one in fastest_fit(report, rows)] == [
        FLOAT["artifact"], ORT_INT8["artifact"], RAW["artifact"]
    ]  # fmt: skip
    assert OV_INT8["artifact"] not in {one.artifact for one in summary_rows(report)}

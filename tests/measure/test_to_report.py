"""Every field of the report's rows is set from what was measured, by one function each."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.measure.accuracy import Comparison, Predictions
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.speed import Ratio
from edge_convnext.measure.timings import BenchmarkResult, Judged, TimedRow
from edge_convnext.measure.to_report import (
    accuracy_part,
    benchmark_part,
    licence_notes,
    report_accuracy,
    report_candidate,
    report_interval,
    report_row,
    skewed_notes,
)
from edge_convnext.report.measured import (
    AccuracyReport,
    BenchmarkReport,
    BenchmarkRow,
    CandidateAccuracy,
    CandidateReport,
)

# No two fields of one type have one value, and none has that of a default.
CANDIDATE = Candidate(
    OnnxModel(Path("conv.int8.onnx"), "int8", "conv", "pointwise", 5),
    "digest", "openvino", "bf16", (("A", "1"), ("B", "2")),
)  # fmt: skip
FIGURES = {
    "threads": 3, "batch": 4, "latency_ms_p50": 1.5, "latency_ms_p90": 1.9,
    "latency_ms_p99": 1.99, "throughput_img_s": 2000.5, "samples": 50, "rounds": 6,
    "round_latency_ms_p50": (1.25, 1.75), "size_bytes": 70, "peak_memory_bytes": 900,
    "baseline_memory_bytes": 80, "gpu_ms_p50": 0.5, "gpu_ms_p90": 0.9, "gpu_ms_p99": 0.99,
    "round_gpu_ms_p50": (0.25, 0.75), "latency_ms_deciles": (1.1, 1.2),
}  # fmt: skip
ROW = TimedRow(CANDIDATE, **FIGURES)
FACTS = {
    "form": "conv", "placement": "pointwise", "precision": "int8", "runtime": "openvino",
    "precision_hint": "bf16", "settings": {"A": "1", "B": "2"},
}  # fmt: skip
COMPARISON = Comparison(8, 1.5, (-0.5, 2.5), 3, 2, 87.5, 21.5)


def dumped(part):
    """The fields that were set, by name."""
    return {name: getattr(part, name) for name in type(part).model_fields}


def test_every_field_of_a_row_is_set_from_the_timed_row():
    found = report_row(ROW, "model.int8.onnx openvino bf16")
    assert found.model_fields_set == set(BenchmarkRow.model_fields)
    assert dumped(found) == {"artifact": "model.int8.onnx openvino bf16", **FACTS, **FIGURES}


def test_a_timed_row_holds_nothing_that_the_report_does_not_tell():
    timed = {one.name for one in fields(TimedRow)} - {"candidate"}
    told = set(BenchmarkRow.model_fields) - set(CandidateReport.model_fields)
    assert timed == told


def test_figures_that_are_missing_stay_so():
    absent = (
        "latency_ms_p90", "latency_ms_p99", "peak_memory_bytes", "baseline_memory_bytes",
        "gpu_ms_p50", "gpu_ms_p90", "gpu_ms_p99",
    )  # fmt: skip
    found = report_row(replace(ROW, **dict.fromkeys(absent)), "x")
    assert [getattr(found, name) for name in absent] == [None] * len(absent)


def predictions(*rows):
    logits = np.array(rows, np.float32)
    return Predictions(logits, np.array([0, 1]), ("x", "y"))


RIGHT, HALF = predictions((1, 0), (0, 1)), predictions((1, 0), (1, 0))


def test_every_field_of_an_evaluated_candidate_is_set():
    found = report_candidate(CANDIDATE, "its name", HALF, COMPARISON)
    assert found.model_fields_set == set(CandidateAccuracy.model_fields)
    assert dumped(found) == {
        "artifact": "its name", **FACTS, "top1_pct": 50.0, "top1_drop_pp": 1.5,
        "top1_drop_ci95_pp": (-0.5, 2.5), "agreement_pct": 87.5, "sqnr_db": 21.5, "lost": 3,
        "won": 2,
    }  # fmt: skip


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_accuracy_of_the_chosen_candidate_stands_under_its_precision(precision):
    fp32, own = report_accuracy(RIGHT, "ab"), report_accuracy(HALF, "ab", RIGHT)
    row = report_candidate(CANDIDATE, "its name", HALF, COMPARISON)
    found = accuracy_part(2, fp32, precision, own, COMPARISON, [row])
    assert found.model_fields_set == set(AccuracyReport.model_fields)
    other = "fp16" if precision == "int8" else "int8"
    assert dumped(found) == {
        "n_images": 2, "fp32": fp32, precision: own, other: None, "top1_drop_pp": 1.5,
        "top1_drop_ci95_pp": (-0.5, 2.5), "agreement_pct": 87.5, "sqnr_db": 21.5, "lost": 3,
        "won": 2, "candidates": (row,),
    }  # fmt: skip


def test_without_a_choice_the_accuracy_is_that_of_fp32():
    fp32 = report_accuracy(RIGHT, "ab")
    found = accuracy_part(2, fp32, "int8", None, None, [])
    assert dumped(found) == dumped(AccuracyReport(n_images=2, fp32=fp32))


def test_every_field_of_a_race_is_set():
    others = [replace(CANDIDATE, title=title) for title in ("float", "rival", "raw")]
    timings = BenchmarkResult((ROW,), (), 12.5, Judged(("x",), 1, 9, 2), 7, (ROW.artifact,))
    found = benchmark_part(
        timings,
        lambda one: f"<{one.name}>",
        chosen=CANDIDATE,
        best_float=others[0],
        versus_float=Ratio(1.5, 1.25, 1.75, 18),
        rival=others[1],
        raw=others[2],
        versus_raw=Ratio(3.5, 3.25, 3.75, 18),
        forms_not_raced=("conv",),
    )
    assert found.model_fields_set == set(BenchmarkReport.model_fields)
    assert dumped(found) == {
        "rows": (report_row(ROW, f"<{CANDIDATE.name}>"),),
        "speedup_vs_raw_fp32": 3.5, "speedup_vs_raw_fp32_ci95": (3.25, 3.75),
        "speedup_vs_best_float": 1.5, "speedup_vs_best_float_ci95": (1.25, 1.75),
        "chosen": f"<{CANDIDATE.name}>", "best_float": "<float>", "rival_float": "<rival>",
        "raw_fp32": "<raw>", "other_load_pct": 12.5, "throttled_periods": 7, "judge_loads": 9,
        "judge_rounds": 18, "forms_not_raced": ("conv",), "timed_once": (f"<{CANDIDATE.name}>",),
    }  # fmt: skip


def test_a_race_of_nobody_has_rows_alone():
    timings = BenchmarkResult((ROW,), ())
    found = benchmark_part(
        timings, lambda one: one.name, chosen=None, best_float=None, versus_float=None
    )
    assert dumped(found) == dumped(BenchmarkReport(rows=(report_row(ROW, CANDIDATE.name),)))


def test_an_interval_needs_both_ends():
    assert report_interval(None) is None
    assert report_interval(Ratio(1.0, None, 2.0, 3)) is None
    assert report_interval(Ratio(1.0, 0.5, None, 3)) is None
    assert report_interval(Ratio(1.0, 0.5, 2.0, 6)) == (0.5, 2.0)


def test_notes_are_given_where_there_is_something_to_note():
    assert licence_notes(None) == []
    (note,) = licence_notes("CC BY 4.0")
    assert "licence, CC BY 4.0, holds for every file" in note
    assert skewed_notes(None, "Repeat.") == []
    assert skewed_notes(BenchmarkResult((), (), 1.0), "Repeat.") == []
    (note,) = skewed_notes(BenchmarkResult((), (), 60.0), "Repeat.")
    assert "60 % of the CPU" in note
    assert note.endswith("can be `likely`, not `shown`. Repeat.")

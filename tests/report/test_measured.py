from types import SimpleNamespace

import pytest
from support.example_report import (
    ACCURACY,
    BENCHMARK,
    FLOAT,
    OV_INT8,
    RAW,
    SHA,
    example_report,
    row,
)
from support.refusals import refusal

from edge_convnext.report.measured import (
    AccuracyReport,
    BenchmarkReport,
    BenchmarkRow,
    CandidateReport,
    ClassAccuracy,
    smallest_batch,
)


def test_a_row_is_found_by_artifact_and_batch():
    benchmark = example_report().benchmark
    row = benchmark.row(benchmark.chosen, 8)
    assert (row.runtime, row.batch) == ("openvino", 8)
    assert benchmark.row(benchmark.chosen, 3) is None
    assert benchmark.row(None, 1) is None
    assert len(SHA) == 64


@pytest.mark.parametrize(
    ("field", "value"), [("precision", "int4"), ("precision_hint", "f8"), ("form", "../x")]
)
def test_a_candidate_of_unknown_words_is_refused(field, value):
    assert CandidateReport(**OV_INT8).precision_hint == "f32"
    refusal(CandidateReport, **{**OV_INT8, field: value})


def test_a_rivals_name_stands_before_that_of_the_best_float():
    timings = BenchmarkReport(**BENCHMARK)
    assert timings.hardest_float == FLOAT["artifact"]
    rival = timings.model_copy(update={"rival_float": RAW["artifact"]})
    assert rival.hardest_float == RAW["artifact"]
    assert BenchmarkReport(rows=()).hardest_float is None


def test_intervals_are_over_rounds_unless_models_were_loaded_afresh():
    assert BenchmarkReport(rows=()).observations == "rounds"
    assert BenchmarkReport(rows=(), judge_loads=7).observations == "7 fresh loads"
    assert "greater than 0" in refusal(BenchmarkReport, rows=(), judge_loads=0)


@pytest.mark.parametrize("name", ["speedup_vs_raw_fp32_ci95", "speedup_vs_best_float_ci95"])
def test_an_interval_of_a_speed_up_runs_from_low_to_high(name):
    assert "an interval is [low, high]" in refusal(BenchmarkReport, rows=(), **{name: (2.0, 1.0)})


def test_an_accuracy_is_of_images_and_its_interval_in_order():
    assert AccuracyReport(**ACCURACY).candidates[1].won == 1
    assert "greater than 0" in refusal(AccuracyReport, **{**ACCURACY, "n_images": 0})
    other = {**ACCURACY, "top1_drop_ci95_pp": [1.0, -1.0]}
    assert "an interval is [low, high]" in refusal(AccuracyReport, **other)


def test_a_class_without_images_has_no_accuracy():
    assert ClassAccuracy(n=0, top1_pct=None).lost is None
    assert "equal to 100" in refusal(ClassAccuracy, n=1, top1_pct=101.0)


@pytest.mark.parametrize("field", ["latency_ms_p90", "latency_ms_p99", "peak_memory_bytes"])
def test_a_row_says_that_it_has_too_few_samples(field):
    timed = row(OV_INT8, 1, 2.5, 1000)
    assert getattr(BenchmarkRow(**{**timed, field: None}), field) is None
    del timed[field]  # null, and not silence
    assert "Field required" in refusal(BenchmarkRow, **timed)


def test_speed_is_of_the_smallest_batch():
    assert smallest_batch(example_report().benchmark) == 1
    rows = [SimpleNamespace(batch=8), SimpleNamespace(batch=4)]
    assert smallest_batch(SimpleNamespace(rows=rows)) == 4
    assert smallest_batch(SimpleNamespace(rows=())) == 1

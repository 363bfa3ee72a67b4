"""Every field of the report's throughput is set from what was measured."""

from pathlib import Path

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.throughput import ThroughputResult, Wanted
from edge_convnext.measure.throughput import ThroughputRow as Timed
from edge_convnext.measure.throughput_to_report import report_throughput
from edge_convnext.report.throughput import ThroughputReport, ThroughputRow

INT8 = Candidate(
    OnnxModel(Path("conv.int8.onnx"), "int8", "conv", "inner"), "d", "openvino", "bf16",
    (("A", "1"),),
)  # fmt: skip
FLOAT = Candidate(OnnxModel(Path("conv.onnx"), "fp32", "conv"), "e", "openvino", "bf16")
RAW = Candidate(OnnxModel(Path("raw.onnx"), "fp32", "raw"), "f", "onnxruntime", "f32")


def timed(candidate, rates, chosen=True):
    return Timed(candidate, 8, 4, 2, 3, 95.0, 70.5, 1.5, 2.5, 60, rates, chosen)


def test_every_field_is_set():
    rows = (
        timed(INT8, (40.0,) * 6), timed(INT8, (1.0,) * 6, chosen=False),
        timed(FLOAT, (20.0,) * 6), timed(RAW, (10.0,) * 6),
    )  # fmt: skip
    result = ThroughputResult(rows, Wanted(95.0, 9.5), 3.0)
    part = report_throughput(
        result, lambda one: one.label("model.onnx"), chosen=INT8, best_float=FLOAT, raw=RAW
    )
    assert part.model_fields_set == set(ThroughputReport.model_fields)
    assert (part.percentile, part.limit_ms, part.other_load_pct) == (95.0, 9.5, 3.0)
    assert (part.vs_raw_fp32, part.vs_raw_fp32_ci95) == (4.0, (4.0, 4.0))
    assert (part.vs_best_float, part.vs_best_float_ci95) == (2.0, (2.0, 2.0))
    first = part.rows[0]
    assert first.model_fields_set == set(ThroughputRow.model_fields)
    assert first.model_dump() == {
        "artifact": "model.onnx openvino bf16+A=1", "form": "conv", "placement": "inner",
        "precision": "int8", "runtime": "openvino", "precision_hint": "bf16",
        "settings": {"A": "1"}, "threads": 8, "batch": 4, "streams": 2, "requests": 3,
        "images_per_s": 70.5, "latency_ms_p50": 1.5, "latency_ms": 2.5, "samples": 60,
        "round_images_per_s": (40.0,) * 6, "chosen": True,
    }  # fmt: skip
    assert [row.chosen for row in part.rows] == [True, False, True, True]
    assert part.best(first.artifact) == first


def test_without_a_float_there_is_no_ratio():
    result = ThroughputResult((timed(INT8, (40.0,) * 6),), Wanted(), None)
    part = report_throughput(result, lambda one: one.name, chosen=INT8)
    assert part.vs_raw_fp32 is part.vs_best_float is part.vs_best_float_ci95 is None
    assert part.best("other") is None

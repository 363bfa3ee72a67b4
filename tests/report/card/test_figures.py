import pytest
import yaml
from support.example_report import (
    BENCHMARK,
    OV_INT8,
    example_report,
    without_measurements,
)

from edge_convnext.report.card.figures import numerics_of, performance_of

CPU = "AMD EPYC (family 26, model 2)"


def details(report, precision, runtime, device=CPU):
    component = performance_of(report)["precisions"][precision]["components"]["convnextv2_atto"]
    return component["performance_metrics"][device][runtime]


def run_on(name, **changes):
    report = example_report()
    return {
        "created": report.created, "environment": report.environment, "verdict": report.verdict,
        "accuracy": report.accuracy, "benchmark": report.benchmark,
        "board": {"name": name, "bundle_sha256": "0" * 64, "graphs": [], "ships": None}, **changes,
    }  # fmt: skip


def test_the_fastest_of_each_precision_and_runtime_is_told_with_its_tools():
    rows = [
        {**row, "baseline_memory_bytes": 53_000_000} if row["precision"] == "int8" else row
        for row in BENCHMARK["rows"]
    ]
    products = {**OV_INT8, "planned_int8_products": 47, "found_int8_products": 45}
    report = example_report(benchmark={**BENCHMARK, "rows": rows}, int8_products=[products])
    found = details(report, "w8a8", "openvino")
    assert found["inference_time_milliseconds"] == pytest.approx(2.56)
    assert found["estimated_peak_memory_range_mb"] == {"min": 95, "max": 146}
    assert (found["int8_products"], found["planned_int8_products"]) == (45, 47)
    assert (found["primary_compute_unit"], found["batch"]) == ("CPU", 1)
    assert found["tool_versions"] == {"edge-convnext": "0.1.0", "python": "3.11.7"}
    assert details(report, "float", "onnxruntime")["estimated_peak_memory_range_mb"] == {
        "min": 146, "max": 146,
    }  # fmt: skip
    assert details(report, "float", "openvino")["int8_products"] is None


def test_what_is_wrong_where_it_runs_is_not_offered_and_a_busy_machine_is_told():
    refused = [{**OV_INT8, "reason": "wrong"}]
    report = example_report(refused=refused, benchmark={**BENCHMARK, "other_load_pct": 50.0})
    runtimes = performance_of(report)["precisions"]["w8a8"]["components"]["convnextv2_atto"]
    assert list(runtimes["performance_metrics"][CPU]) == ["onnxruntime"]
    assert "50 %" in details(report, "w8a8", "onnxruntime")["disturbed_by"]


def test_boards_are_machines_of_their_own_also_two_of_one_name():
    report = example_report(boards=[run_on("nano"), run_on("nano")])
    assert performance_of(report)["supported_devices"] == [CPU, "nano", "nano (8e672979)"]
    rows = [{**row, "runtime": "tensorrt"} for row in BENCHMARK["rows"]]
    gpu = example_report(boards=[run_on("nano", benchmark={**BENCHMARK, "rows": rows})])
    assert details(gpu, "w8a8", "tensorrt", "nano")["primary_compute_unit"] == "GPU"


def test_accuracy_has_its_interval_and_no_name_of_a_file():
    top1, agreement = numerics_of(example_report())["metrics"]
    found = top1["device_metric"][CPU]["w8a8"]["openvino"]
    assert found["partial_metric"] == 96.43
    assert found["drop_95_pct_interval_pp"] == {"min": -0.62, "max": 1.18}
    assert top1["dataset_split_description"] == "476 held out of 2,152"
    assert agreement["device_metric"][CPU]["w8a8"]["onnxruntime"] == {"partial_metric": 99.58}
    assert "&id" not in yaml.safe_dump(numerics_of(example_report()))


def test_what_was_not_measured_is_empty():
    report = example_report(**without_measurements("evaluate", "benchmark"))
    assert numerics_of(report) == {"metrics": []}
    assert performance_of(report)["precisions"] == {}

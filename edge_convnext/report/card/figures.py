"""`perf.yaml` and `numerics.yaml`: the figures of a build in the shape that AI Hub's models have.

The names are AI Hub's where the meaning is the same. What was not measured is null.
Source: quic/ai-hub-models, `qai_hub_models/configs/perf_yaml.py` and `numerics_yaml.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge_convnext.core.contention import why_skewed
from edge_convnext.core.text import printable
from edge_convnext.report.card.stated import public_name, split_words
from edge_convnext.report.contract import Report
from edge_convnext.report.in_runtime import fastest_fit
from edge_convnext.report.measured import (
    AccuracyReport,
    BenchmarkReport,
    BenchmarkRow,
    CandidateAccuracy,
    Int8ProductsReport,
    smallest_batch,
)

__all__ = ["numerics_of", "performance_of"]

_PRECISIONS = {"fp32": "float", "fp16": "float16", "int8": "w8a8"}  # AI Hub's words
_GPU_RUNTIMES = "tensorrt"  # begins their names


@dataclass(frozen=True)
class _Device:
    """One machine that a report has figures of."""

    name: str
    chipset: str
    benchmark: BenchmarkReport | None
    accuracy: AccuracyReport | None
    versions: Mapping[str, str]
    products: tuple[Int8ProductsReport, ...]


def performance_of(report: Report) -> dict[str, Any]:
    """The fastest candidate of every precision in every runtime, on every machine."""
    devices = [one for one in _devices(report) if one.benchmark is not None]
    precisions: dict[str, Any] = {}
    for device in devices:
        for row in _fastest(report, device.benchmark):
            named = precisions.setdefault(_PRECISIONS[row.precision], {"components": {}})
            component = named["components"].setdefault(
                printable(public_name(report)), {"performance_metrics": {}}
            )
            found = component["performance_metrics"].setdefault(printable(device.name), {})
            found[row.runtime] = _details(row, device)
    return {
        "supported_devices": [printable(one.name) for one in devices],
        "supported_chipsets": [printable(one.chipset) for one in devices],
        "precisions": precisions,
    }


def numerics_of(report: Report) -> dict[str, Any]:
    """Top-1 and agreement with FP32 of every candidate that was evaluated, on every machine."""
    devices = [one for one in _devices(report) if one.accuracy is not None]
    if not devices:
        return {"metrics": []}
    accuracy = devices[0].accuracy
    assert accuracy is not None
    top1 = {
        **_shared(report, accuracy),
        "metric_name": "Top-1 accuracy",
        "metric_description": "Images whose class is the first of the model's answers.",
        "partial_torch_metric": accuracy.fp32.top1_pct,
        "device_metric": _device_metric(devices, _top1),
    }
    agreement = {
        **_shared(report, accuracy),
        "metric_name": "Agreement with FP32",
        "metric_description": "Images with the first answer of the FP32 model as it came.",
        "partial_torch_metric": 100.0,
        "device_metric": _device_metric(devices, _agreement),
    }
    return {"metrics": [top1, agreement]}


def _shared(report: Report, accuracy: AccuracyReport) -> dict[str, Any]:
    return {
        "dataset_name": None,
        "dataset_link": None,
        "dataset_split_description": split_words(report),
        "metric_unit": "%",
        "metric_range": {"min": 0.0, "max": 100.0},
        "num_partial_samples": accuracy.n_images,
    }


def _devices(report: Report) -> Iterator[_Device]:
    """This report's machine, and the boards that were merged into it; no two have one name."""
    named: set[str] = set()
    for device, fingerprint in _machines(report):
        again = device.name in named
        named.add(device.name)
        yield replace(device, name=f"{device.name} ({fingerprint[:8]})") if again else device


def _machines(report: Report) -> Iterator[tuple[_Device, str]]:
    seen = report.environment
    name = report.board.name if report.board else seen.cpu_model
    own = report.benchmark, report.accuracy, seen.versions, report.int8_products
    yield _Device(name, seen.cpu_model, *own), seen.fingerprint
    for run in report.boards:
        there = run.environment
        figures = run.benchmark, run.accuracy, there.versions, ()
        yield _Device(run.board.name, there.cpu_model, *figures), there.fingerprint


def _fastest(report: Report, benchmark: BenchmarkReport | None) -> Iterable[BenchmarkRow]:
    """The fastest row of each precision and runtime at the smallest batch; none that is wrong."""
    if benchmark is None:
        return ()
    batch = smallest_batch(benchmark)
    return fastest_fit(report, (row for row in benchmark.rows if row.batch == batch))


def _details(row: BenchmarkRow, device: _Device) -> dict[str, Any]:
    peak, before = row.peak_memory_bytes, row.baseline_memory_bytes
    memory = None
    if peak is not None:
        least = peak if before is None else peak - before
        memory = {"min": round(max(0, least) / (1 << 20)), "max": round(peak / (1 << 20))}
    products = {one.artifact: one for one in device.products}.get(row.artifact)
    return {
        "inference_time_milliseconds": row.latency_ms_p50,
        "inference_time_p90_milliseconds": row.latency_ms_p90,
        "throughput_images_per_second": row.throughput_img_s,
        "batch": row.batch,
        "threads": row.threads,
        "estimated_peak_memory_range_mb": memory,
        "primary_compute_unit": "GPU" if row.runtime.startswith(_GPU_RUNTIMES) else "CPU",
        "int8_products": products.found_int8_products if products else None,
        "planned_int8_products": products.planned_int8_products if products else None,
        "file": printable(row.file),
        "file_bytes": row.size_bytes,
        "float_type": row.precision_hint,
        "disturbed_by": _disturbed(device.benchmark),
        "tool_versions": _tool_versions(row.runtime, device.versions),
    }


def _disturbed(timed: BenchmarkReport | None) -> str | None:
    return why_skewed(timed.other_load_pct, timed.throttled_periods) if timed else None


def _tool_versions(runtime: str, versions: Mapping[str, str]) -> dict[str, str]:
    """Versions of this package, of Python and of the runtime."""
    own = ("edge-convnext", "python")
    named = [name for name in versions if name in own or runtime in name]
    return {printable(name): printable(versions[name]) for name in named}


def _device_metric(
    devices: Iterable[_Device], metric: Callable[[CandidateAccuracy], dict[str, Any]]
) -> dict[str, Any]:
    """Figures by machine, precision and runtime; of several candidates the first, the chosen."""
    found: dict[str, Any] = {}
    for device in devices:
        accuracy, timed = device.accuracy, device.benchmark
        chosen = timed.chosen if timed else None
        of_device = found.setdefault(printable(device.name), {})
        candidates = accuracy.candidates if accuracy else ()
        for one in sorted(candidates, key=lambda one: one.artifact != chosen):
            of_precision = of_device.setdefault(_PRECISIONS[one.precision], {})
            of_precision.setdefault(one.runtime, metric(one))
    return found


def _top1(one: CandidateAccuracy) -> dict[str, Any]:
    low, high = one.top1_drop_ci95_pp
    return {
        "partial_metric": one.top1_pct,
        "drop_pp": one.top1_drop_pp,
        "drop_95_pct_interval_pp": {"min": low, "max": high},
    }


def _agreement(one: CandidateAccuracy) -> dict[str, Any]:
    return {"partial_metric": one.agreement_pct}

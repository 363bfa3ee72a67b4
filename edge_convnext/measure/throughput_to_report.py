"""Turn throughput into its part of the report, for builds and for `bench --json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.measure.to_report import candidate_fields, report_interval
from edge_convnext.report.throughput import ThroughputReport, ThroughputRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.throughput import ThroughputResult
    from edge_convnext.measure.throughput import ThroughputRow as Timed

__all__ = ["report_throughput"]


def report_throughput(
    result: ThroughputResult,
    label: Callable[[Candidate], str],
    *,
    chosen: Candidate | None = None,
    best_float: Candidate | None = None,
    raw: Candidate | None = None,
) -> ThroughputReport:
    """Report all settings, and the two ratios that a build also reports of latency.

    Args:
        result: Result of `measure_throughput`.
        label: Gives the name of a candidate in this report.
        chosen: Candidate that the ratios are of.
        best_float: Float that it is compared with.
        raw: The unfolded FP32 export in ONNX Runtime.
    """
    versus_float, versus_raw = (
        result.ratio(chosen.name, one.name) if chosen and one else None for one in (best_float, raw)
    )
    return ThroughputReport(
        percentile=result.wanted.percentile,
        limit_ms=result.wanted.limit_ms,
        rows=tuple(_report_row(row, label(row.candidate)) for row in result.rows),
        vs_raw_fp32=versus_raw.median if versus_raw else None,
        vs_raw_fp32_ci95=report_interval(versus_raw),
        vs_best_float=versus_float.median if versus_float else None,
        vs_best_float_ci95=report_interval(versus_float),
        other_load_pct=result.other_load_pct,
        throttled_periods=result.throttled_periods,
    )


def _report_row(row: Timed, artifact: str) -> ThroughputRow:
    return ThroughputRow(
        **candidate_fields(row.candidate, artifact),
        threads=row.threads,
        batch=row.batch,
        streams=row.streams,
        requests=row.requests,
        images_per_s=row.images_per_s,
        latency_ms_p50=row.latency_ms_p50,
        latency_ms=row.latency_ms,
        samples=row.samples,
        round_images_per_s=row.round_images_per_s,
        chosen=row.chosen,
    )

"""The verdict on one GPU: INT8 against the best float engine of the same device.

Not against FP32, nor the same graph in FP16: TensorRT's best FP16 form is what INT8 would
replace. The rule and its sentences are `verdict.decide`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from edge_convnext.benchmark import BenchmarkResult, BenchmarkRow, speedup
from edge_convnext.report import AccuracyReport, BenchmarkReport
from edge_convnext.report import BenchmarkRow as ReportRow
from edge_convnext.verdict import decide

if TYPE_CHECKING:
    from edge_convnext.artifacts import Precision
    from edge_convnext.report import VerdictReport

__all__ = ["decide_on_gpu", "report_race"]

_RUNTIMES = ("tensorrt", "tensorrt_rtx")


def report_race(
    result: BenchmarkResult,
    accuracies: Mapping[str, AccuracyReport],
    max_drop_pp: float,
    batch: int = 1,
) -> BenchmarkReport:
    """Choose among raced engines, and write the race down as reports have it.

    Args:
        result: Of `benchmark.benchmark`; rows of other runtimes than TensorRT's are kept and
            not chosen.
        accuracies: By artifact name, of the engines that were evaluated on themselves.
        max_drop_pp: Budget of top-1, in percentage points.
        batch: Which batch size decides.

    Returns:
        `chosen` is the fastest INT8 engine within the budget, or the fastest one where none is;
        `best_float` the fastest other one. None where there is none.
    """
    raced = [row for row in result.rows if row.batch == batch and row.runtime in _RUNTIMES]
    quantized = [row for row in raced if row.precision == "int8"]
    within = [row for row in quantized if _keeps(accuracies.get(row.artifact), max_drop_pp)]
    chosen = min(within or quantized, key=_gpu_ms, default=None)
    floats = [row for row in raced if row.precision != "int8"]
    best = min(floats, key=_gpu_ms, default=None)
    ratio = speedup(result, chosen.artifact, best.artifact, batch) if chosen and best else None
    interval = None
    if ratio and ratio.ci95_lo is not None and ratio.ci95_hi is not None:
        interval = ratio.ci95_lo, ratio.ci95_hi
    return BenchmarkReport(
        rows=tuple(ReportRow(**asdict(row)) for row in result.rows),
        speedup_vs_best_float=ratio.median if ratio else None,
        speedup_vs_best_float_ci95=interval,
        chosen=chosen.artifact if chosen else None,
        best_float=best.artifact if best else None,
        other_load_pct=result.other_load_pct,
    )


def decide_on_gpu(
    result: BenchmarkResult,
    accuracies: Mapping[str, AccuracyReport],
    max_drop_pp: float,
    require: Precision | None = None,
    batch: int = 1,
) -> VerdictReport:
    """INT8 ships only if it beats the best float TensorRT engine within the accuracy budget.

    Args:
        result: See `report_race`.
        accuracies: See `report_race`; without the chosen engine's the verdict stays open, unless
            it is too slow anyway.
        max_drop_pp: Budget of top-1, in percentage points.
        require: The precision the user asked the verdict to be, if any.
        batch: Which batch size decides.
    """
    race = report_race(result, accuracies, max_drop_pp, batch)
    accuracy = accuracies.get(race.chosen or "")
    return decide("int8", accuracy, race, max_drop_pp, require, batch=batch)


def _gpu_ms(row: BenchmarkRow) -> float:
    return row.latency_ms_p50 if row.gpu_ms_p50 is None else row.gpu_ms_p50


def _keeps(accuracy: AccuracyReport | None, max_drop_pp: float) -> bool:
    """Within the budget, or not evaluated."""
    drop = accuracy.top1_drop_pp if accuracy else None
    return drop is None or drop <= max_drop_pp

"""Turn measurements into parts of the report, for builds and boards alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_convnext.core.bounds import why_no_interval
from edge_convnext.core.contention import why_skewed
from edge_convnext.measure.accuracy import count_class_flips, measure_accuracy
from edge_convnext.report.measured import (
    AccuracyReport,
    BenchmarkReport,
    BenchmarkRow,
    CandidateAccuracy,
    ClassAccuracy,
    PrecisionAccuracy,
    RefusedCandidate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_convnext.core.artifacts import Precision
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.graph.findings import Finding
    from edge_convnext.measure.accuracy import Comparison, Predictions
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.in_runtime import InRuntime
    from edge_convnext.measure.speed import Ratio
    from edge_convnext.measure.timings import BenchmarkResult, TimedRow

__all__ = [
    "accuracy_part",
    "benchmark_part",
    "candidate_fields",
    "few_rounds_notes",
    "licence_notes",
    "report_accuracy",
    "report_candidate",
    "report_interval",
    "report_refused",
    "report_row",
    "skewed_notes",
]


def candidate_fields(candidate: Candidate, artifact: str) -> dict[str, Any]:
    """The fields of `report.measured.CandidateReport`, which every part on a candidate begins with.

    Args:
        candidate: The candidate.
        artifact: Its name in this report, with the shipped file's name.
    """
    model = candidate.model
    return {
        "artifact": artifact,
        "form": model.form,
        "placement": model.placement,
        "precision": model.precision,
        "runtime": candidate.runtime,
        "precision_hint": candidate.hint,
        "settings": dict(candidate.settings),
    }


def report_row(row: TimedRow, artifact: str) -> BenchmarkRow:
    """Report one timed candidate.

    Args:
        row: Row of a race.
        artifact: Name of the candidate in this report, with the shipped file's name.
    """
    return BenchmarkRow(
        **candidate_fields(row.candidate, artifact),
        threads=row.threads,
        batch=row.batch,
        latency_ms_p50=row.latency_ms_p50,
        latency_ms_p90=row.latency_ms_p90,
        latency_ms_p99=row.latency_ms_p99,
        throughput_img_s=row.throughput_img_s,
        samples=row.samples,
        rounds=row.rounds,
        size_bytes=row.size_bytes,
        peak_memory_bytes=row.peak_memory_bytes,
        baseline_memory_bytes=row.baseline_memory_bytes,
        round_latency_ms_p50=row.round_latency_ms_p50,
        gpu_ms_p50=row.gpu_ms_p50,
        gpu_ms_p90=row.gpu_ms_p90,
        gpu_ms_p99=row.gpu_ms_p99,
        round_gpu_ms_p50=row.round_gpu_ms_p50,
        latency_ms_deciles=row.latency_ms_deciles,
    )


def report_candidate(
    candidate: Candidate, artifact: str, predictions: Predictions, comparison: Comparison
) -> CandidateAccuracy:
    """Report one evaluated candidate.

    Args:
        candidate: Candidate that was evaluated.
        artifact: Name of the candidate in this report.
        predictions: Predictions of the candidate.
        comparison: Comparison with FP32, on the same images.
    """
    return CandidateAccuracy(
        **candidate_fields(candidate, artifact),
        top1_pct=measure_accuracy(predictions).top1_pct,
        top1_drop_pp=comparison.top1_drop_pp,
        top1_drop_ci95_pp=comparison.top1_drop_ci95_pp,
        agreement_pct=comparison.agreement_pct,
        sqnr_db=comparison.sqnr_db,
        lost=comparison.lost,
        won=comparison.won,
    )


def report_refused(
    candidate: Candidate,
    artifact: str,
    reason: str,
    found: InRuntime | None,
    finding: Finding | None,
    *,
    timed: bool = False,
) -> RefusedCandidate:
    """A candidate that is wrong where it would run, as the report states it.

    Args:
        candidate: Candidate that was refused.
        artifact: Name of the candidate in this report.
        reason: Reason, as a sentence.
        found: Its logits against the float graph's; None where it was not run.
        finding: The error of its runtime's lint, if there is one.
        timed: True if it was raced all the same, as a float that INT8 has to beat.
    """
    return RefusedCandidate(
        **candidate_fields(candidate, artifact),
        reason=reason,
        rule=finding.rule if finding else None,
        node=finding.node if finding else None,
        sqnr_db=found.here.sqnr_db if found else None,
        onnxruntime_sqnr_db=found.elsewhere.sqnr_db if found else None,
        agreement_pct=found.here.agreement_pct if found else None,
        n_images=found.here.n_images if found else None,
        timed=timed,
    )


def report_accuracy(
    predictions: Predictions, classes: Sequence[str], reference: Predictions | None = None
) -> PrecisionAccuracy:
    """Report top-1, top-5 and each class; with a reference, the flipped images too.

    Args:
        predictions: Predictions of the precision.
        classes: Class names in logit order.
        reference: Predictions of FP32 on the same images.
    """
    measured = measure_accuracy(predictions, classes)
    counted = count_class_flips(reference, predictions) if reference is not None else None
    return PrecisionAccuracy(
        top1_pct=measured.top1_pct,
        top5_pct=measured.top5_pct,
        per_class={
            name: ClassAccuracy(
                n=one.n,
                top1_pct=one.top1_pct,
                lost=counted[place][0] if counted else None,
                won=counted[place][1] if counted else None,
            )
            for place, (name, one) in enumerate(measured.per_class.items())
        },
    )


def accuracy_part(
    n_images: int,
    fp32: PrecisionAccuracy,
    precision: Precision,
    own: PrecisionAccuracy | None,
    comparison: Comparison | None,
    candidates: Sequence[CandidateAccuracy],
) -> AccuracyReport:
    """Make the report's part on accuracy.

    Args:
        n_images: Number of evaluation images.
        fp32: Accuracy of the reference.
        precision: Requested precision.
        own: Accuracy of the chosen candidate; None without one, or if FP32 was requested.
        comparison: Comparison of the chosen candidate with the reference; None without one.
        candidates: Accuracies of all evaluated candidates.
    """
    return AccuracyReport(
        n_images=n_images,
        fp32=fp32,
        fp16=own if precision == "fp16" else None,
        int8=own if precision == "int8" else None,
        top1_drop_pp=comparison.top1_drop_pp if comparison else None,
        top1_drop_ci95_pp=comparison.top1_drop_ci95_pp if comparison else None,
        agreement_pct=comparison.agreement_pct if comparison else None,
        sqnr_db=comparison.sqnr_db if comparison else None,
        lost=comparison.lost if comparison else None,
        won=comparison.won if comparison else None,
        candidates=tuple(candidates),
    )


def benchmark_part(
    timings: BenchmarkResult,
    label: Callable[[Candidate], str],
    *,
    chosen: Candidate | None,
    best_float: Candidate | None,
    versus_float: Ratio | None,
    rival: Candidate | None = None,
    raw: Candidate | None = None,
    versus_raw: Ratio | None = None,
    forms_not_raced: tuple[str, ...] = (),
) -> BenchmarkReport:
    """Make the report's part on speed: all rows, the judged ones, and what may skew them.

    Args:
        timings: Times of the race.
        label: Gives the name of a candidate in this report.
        chosen: Fastest candidate of the requested precision.
        best_float: Float that ships if `chosen` does not.
        versus_float: Speed-up of `chosen` over `rival`, or over `best_float` without a rival.
        rival: Float that `chosen` beats least surely.
        raw: The unfolded FP32 export in ONNX Runtime.
        versus_raw: Speed-up of `chosen` over `raw`.
        forms_not_raced: Forms of the float that were left out.
    """
    judged = timings.judged
    return BenchmarkReport(
        rows=tuple(report_row(row, label(row.candidate)) for row in timings.rows),
        speedup_vs_raw_fp32=versus_raw.median if versus_raw else None,
        speedup_vs_best_float=versus_float.median if versus_float else None,
        speedup_vs_raw_fp32_ci95=report_interval(versus_raw),
        speedup_vs_best_float_ci95=report_interval(versus_float),
        chosen=label(chosen) if chosen else None,
        best_float=label(best_float) if best_float else None,
        rival_float=label(rival) if rival else None,
        raw_fp32=label(raw) if raw else None,
        forms_not_raced=forms_not_raced,
        timed_once=_timed_once(timings, label),
        other_load_pct=timings.other_load_pct,
        throttled_periods=timings.throttled_periods,
        judge_loads=judged.loads if judged else None,
        judge_rounds=judged.total if judged else None,
    )


def _timed_once(timings: BenchmarkResult, label: Callable[[Candidate], str]) -> tuple[str, ...]:
    candidates = {row.artifact: row.candidate for row in timings.rows}
    return tuple(label(candidates[name]) for name in timings.timed_once)


def report_interval(ratio: Ratio | None) -> tuple[float, float] | None:
    """The 95 % interval of a ratio; None without a ratio, or with too few rounds."""
    if ratio is None or ratio.ci95_lo is None or ratio.ci95_hi is None:
        return None
    return ratio.ci95_lo, ratio.ci95_hi


def licence_notes(licence: str | None) -> list[str]:
    """A note on the licence of the weights, if their source states one."""
    if licence is None:
        return []
    return [f"The weights' licence, {licence}, holds for every file made from them."]


def skewed_notes(timings: BenchmarkResult | None, advice: str) -> list[str]:
    """A note on what disturbed the timings, if anything did, with the advice on what to do."""
    skewed = why_skewed(timings.other_load_pct, timings.throttled_periods) if timings else None
    if skewed is None:
        return []
    return [
        f"During the timings {skewed}: the verdict on speed can be `likely`, not `shown`. {advice}"
    ]


def few_rounds_notes(recipe: Recipe) -> list[str]:
    """A note on rounds that are too few for a verdict on speed; a float has nothing to beat."""
    few = why_no_interval(recipe.benchmark.rounds) if recipe.precision != "fp32" else None
    return [] if few is None else [few]

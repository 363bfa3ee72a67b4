"""A report's parts on INT8 graphs: operators returned to float, and results of fine-tuning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from edge_convnext.measure.speed import speedup
from edge_convnext.measure.to_report import (
    report_interval,
)
from edge_convnext.report.stages import (
    FallbackReport,
    ParityReport,
    RecoveryReport,
    SensitivityReport,
)

if TYPE_CHECKING:
    from edge_convnext.build.budget import Fallback
    from edge_convnext.build.lineage import Lineage
    from edge_convnext.build.search_images import SearchImages
    from edge_convnext.measure.evaluation import Evaluation
    from edge_convnext.measure.timings import BenchmarkResult

__all__ = ["report_fallbacks", "report_recoveries"]


def report_fallbacks(
    fallbacks: Iterable[Fallback],
    searched: SearchImages | None,
    evaluation: Evaluation | None,
    timings: BenchmarkResult | None,
) -> tuple[FallbackReport, ...]:
    """Report the fallbacks to float of INT8 graphs past the accuracy budget.

    Args:
        fallbacks: One fallback for each of these graphs.
        searched: Images that fallbacks were searched on; None if no fallback was found.
        evaluation: Accuracy on the images that judge; None without labelled images.
        timings: Times of the race, which show what a fallback costs; None without a race.
    """
    if evaluation is None:
        return ()
    return tuple(_fallback(one, searched, evaluation, timings) for one in fallbacks)


def _fallback(
    one: Fallback,
    searched: SearchImages | None,
    evaluation: Evaluation,
    timings: BenchmarkResult | None,
) -> FallbackReport:
    held, ratio = one.held, None
    if held is not None and timings is not None:
        batch = min(row.batch for row in timings.rows)
        ratio = speedup(timings, held.name, one.full.name, batch)
    return FallbackReport(
        graph=one.plan.label,
        kept_float=one.names,
        quantized_ops=one.full.model.quantized_ops,
        top1_drop_before_pp=one.drop_pp,
        top1_drop_pp=evaluation.comparisons[held.name].top1_drop_pp if held else None,
        searched_on=searched.what if searched and held else None,
        n_searched=searched.count if searched and held else None,
        n_judged=len(evaluation.reference.labels) if held else None,
        reason=one.reason,
        speedup_vs_full=ratio.median if ratio else None,
        speedup_vs_full_ci95=report_interval(ratio),
        sensitivity=tuple(SensitivityReport(**asdict(operation)) for operation in one.ranking),
    )


def report_recoveries(quantized: Iterable[Lineage]) -> tuple[RecoveryReport, ...]:
    """Report the results of fine-tuning, for each INT8 graph that was fine-tuned."""
    return tuple(
        RecoveryReport(
            graph=lineage.plan.label,
            kept=lineage.recovery.kept,
            before=ParityReport(**asdict(lineage.recovery.before)),
            after=ParityReport(**asdict(lineage.recovery.after)),
            steps=lineage.recovery.steps,
            n_training=lineage.recovery.n_training,
        )
        for lineage in quantized
        if lineage.recovery is not None
    )

"""Accuracy of one precision as a report states it, of a build and of a board."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge_convnext.measure.accuracy import count_class_flips, measure_accuracy
from edge_convnext.report.contract import (
    Candidate,
    CandidateAccuracy,
    ClassAccuracy,
    PrecisionAccuracy,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.measure.accuracy import Comparison, Predictions

__all__ = ["report_accuracy", "report_candidate", "report_comparison"]


def report_accuracy(
    predictions: Predictions, classes: Sequence[str], reference: Predictions | None = None
) -> PrecisionAccuracy:
    """Top-1, top-5 and each class; with the images that flipped where there is a reference.

    Args:
        predictions: Of the precision.
        classes: Names in logit order.
        reference: FP32's, on the same images.
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


def report_candidate(
    candidate: Candidate, predictions: Predictions, comparison: Comparison
) -> CandidateAccuracy:
    """One candidate's top-1, and what it lost against FP32."""
    return CandidateAccuracy(
        **candidate.model_dump(),
        top1_pct=measure_accuracy(predictions).top1_pct,
        **report_comparison(comparison),
    )


def report_comparison(comparison: Comparison) -> dict[str, Any]:
    """Fields of the comparison; the report says once how many images it is of."""
    return {name: value for name, value in asdict(comparison).items() if name != "n_images"}

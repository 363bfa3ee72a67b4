"""Accuracy of one precision as a report states it, of a build and of a board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.evaluate import count_class_flips, measure_accuracy
from edge_convnext.report import ClassAccuracy, PrecisionAccuracy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.evaluate import Predictions

__all__ = ["report_accuracy"]


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

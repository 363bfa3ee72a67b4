"""Whether what was measured lies below guessing: such a model is wired wrongly, not weak."""

from __future__ import annotations

from edge_convnext.core.intervals import proportion_interval
from edge_convnext.report.contract import Report

__all__ = ["below_guessing", "guess_pct", "warn_of_guessing"]


def guess_pct(num_classes: int) -> float:
    """What guessing among so many classes is right in, in percent."""
    return 100.0 / max(1, num_classes)


def below_guessing(hits: int, n: int, num_classes: int) -> bool:
    """Whether the 95 % interval of so many hits lies wholly below guessing."""
    return num_classes > 1 and 100.0 * proportion_interval(hits, n)[1] < guess_pct(num_classes)


def warn_of_guessing(report: Report) -> str | None:
    """A sentence on a report whose model is right less often than guessing, for sure."""
    accuracy = report.accuracy
    if accuracy is None:
        return None
    classes, n = report.model.num_classes, accuracy.n_images
    for precision in ("int8", "fp16", "fp32"):
        found = getattr(accuracy, precision)
        if found is None or not below_guessing(round(found.top1_pct * n / 100.0), n, classes):
            continue
        return (
            f"{precision.upper()} is right in {found.top1_pct:.2f} % of {n:,} images, where "
            f"guessing among {classes:,} classes gets {guess_pct(classes):.2f} %: look at labels, "
            "class order and preprocessing before anybody uses it"
        )
    return None

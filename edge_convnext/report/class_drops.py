"""What each class loses: the mean can hold while one class collapses.

Of many classes, one looks bad by chance alone. So the worst one is judged as the worst of so many.
Holm's step-down test decides whether a class is past a limit. Intervals that hold for all classes
together decide whether all keep it. `verdict` and the gate use the same functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_convnext.core.intervals import paired_difference_interval, paired_p_value

__all__ = ["ClassCount", "ClassDrop", "classes_past", "judge_classes"]

_SURE = 0.025  # one-sided, like one end of a 95 % interval


@dataclass(frozen=True)
class ClassCount:
    """What changed among the images of one class."""

    name: str
    n: int
    lost: int  # right before, wrong now
    won: int  # wrong before, right now


@dataclass(frozen=True)
class ClassDrop:
    """What one class loses, with an interval that holds for all classes together at 95 %."""

    name: str
    n: int
    drop_pp: float
    interval_pp: tuple[float, float]
    past: bool  # surely past the limit
    within: bool  # surely within it


def judge_classes(counts: Iterable[ClassCount], limit_pp: float) -> tuple[ClassDrop, ...]:
    """Compare every class that has images with one limit.

    Args:
        counts: Counts of each class, once.
        limit_pp: Largest drop to accept, in percentage points.

    Returns:
        The classes, those surely past the limit first, then the largest drop first.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
        Statistics 6 (1979), 65-70.
    """
    measured = [one for one in counts if one.n > 0]
    left = _rejected(measured, limit_pp, _SURE)
    found = [
        _as_drop(one, limit_pp, left.get(one.name, len(measured)), past=one.name in left)
        for one in measured
    ]
    return tuple(sorted(found, key=lambda one: (not one.past, -one.drop_pp, -one.n, one.name)))


def classes_past(counts: Iterable[ClassCount], limit_pp: float) -> tuple[str, ...]:
    """Classes that are past the limit by the estimate, as far as the worst of many can tell.

    With one class, that is a drop larger than the limit. The largest of many noisy drops is larger
    than the truth. So it is tested at 50 % over all classes, which a single estimate is too.
    """
    measured = [one for one in counts if one.n > 0]
    return tuple(_rejected(measured, limit_pp, 0.5))


def _rejected(counts: Sequence[ClassCount], limit_pp: float, level: float) -> dict[str, int]:
    """Classes past the limit, and how many were left when each was tested (Holm)."""
    tested = sorted(
        (paired_p_value(one.lost, one.won, one.n, limit_pp / 100.0), one.name) for one in counts
    )
    found = {}
    for place, (p_value, name) in enumerate(tested):
        left = len(tested) - place
        if p_value >= level / left:
            break
        found[name] = left
    return found


def _as_drop(one: ClassCount, limit_pp: float, left: int, past: bool) -> ClassDrop:
    low, high = paired_difference_interval(one.lost, one.won, one.n, 1 - 2 * _SURE / left)
    interval_pp = (100.0 * low, 100.0 * high)
    drop_pp = 100.0 * (one.lost - one.won) / one.n
    return ClassDrop(one.name, one.n, drop_pp, interval_pp, past, interval_pp[1] <= limit_pp)

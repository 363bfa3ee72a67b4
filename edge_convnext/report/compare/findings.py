"""One thing that was compared, and how it came out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["OUTCOMES", "Finding", "Outcome", "count_outcomes", "outcome_of", "sort_findings"]

Outcome = Literal["better", "same", "worse", "unknown"]
OUTCOMES: tuple[Outcome, ...] = ("better", "same", "worse", "unknown")

# A reader needs first what went wrong, then what nobody knows, then what is better.
_ORDER: dict[Outcome, int] = {"worse": 0, "unknown": 1, "better": 2, "same": 3}


@dataclass(frozen=True)
class Finding:
    """How one measure of the later build compares with the earlier one's.

    `before`, `now`, `change` and `interval` share the unit that the measure's name carries.
    `change` is `now` minus `before`, or their ratio where the name ends in `ratio`.
    """

    measure: str  # such as "top1_pct"
    outcome: Outcome
    text: str  # one sentence with the figures
    before: float | None = None
    now: float | None = None
    change: float | None = None
    interval: tuple[float, float] | None = None  # 95 % of `change`
    first: bool = False  # whatever else was found: it explains the rest


def outcome_of(interval: tuple[float, float], even: float, *, low_is_good: bool) -> Outcome:
    """Decide by an interval: better or worse where it leaves out the value of no change.

    Args:
        interval: 95 % interval of a difference or of a ratio.
        even: Value of no change: 0 of a difference, 1 of a ratio.
        low_is_good: True for latency, False for accuracy.
    """
    low, high = interval
    if low <= even <= high:
        return "same"
    return "better" if (high < even) == low_is_good else "worse"


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort: what explains the rest, worse, unknown, better, same; else as they came."""
    return tuple(sorted(findings, key=lambda one: (not one.first, _ORDER[one.outcome])))


def count_outcomes(outcomes: Iterable[Outcome]) -> dict[Outcome, int]:
    """Count them, in the order of `OUTCOMES`."""
    found = list(outcomes)
    return {one: found.count(one) for one in OUTCOMES}

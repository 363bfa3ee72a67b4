"""What a gate decides, one criterion at a time, and how an interval becomes a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Criterion", "Decision", "decide_above", "decide_below"]

Decision = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class Criterion:
    """One decided question.

    `measured`, `interval` and `limit` share the unit that the name carries.
    """

    name: str  # such as "top1_drop_pp"
    decision: Decision
    measured: float | None
    interval: tuple[float, float] | None  # 95 %, None where the figure is exact or missing
    limit: float
    reason: str  # one sentence with the figures


def decide_below(interval: tuple[float, float], limit: float) -> Decision:
    """Whether what `interval` holds lies at or below `limit`: a budget."""
    low, high = interval
    if high <= limit:
        return "pass"
    return "fail" if low > limit else "inconclusive"


def decide_above(interval: tuple[float, float], limit: float) -> Decision:
    """Whether what `interval` holds lies at or above `limit`: a floor."""
    low, high = interval
    if low >= limit:
        return "pass"
    return "fail" if high < limit else "inconclusive"

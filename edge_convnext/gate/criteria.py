"""What a gate decides, one criterion at a time, and how an interval becomes a decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Criterion", "Decision", "decide_above", "decide_below", "images_to_settle"]

Decision = Literal["pass", "fail", "inconclusive"]

_MOST_IMAGES = 10_000_000  # beyond, "more images" is no advice


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


def images_to_settle(settled: Callable[[int], bool], n: int) -> int | None:
    """How many images would settle a criterion if the rates stayed as they were measured.

    Args:
        settled: Whether so many images decide it; once true it stays true.
        n: Images that did not.

    Returns:
        Rounded up to two digits; None where even ten million do not.
    """
    enough = n
    while not settled(enough):
        enough *= 2
        if enough > _MOST_IMAGES:
            return None
    few = enough // 2
    while enough - few > max(1, enough // 100):
        middle = (few + enough) // 2
        few, enough = (few, middle) if settled(middle) else (middle, enough)
    step = int(10 ** max(0, len(str(enough)) - 2))
    return -(-enough // step) * step

"""How a speed-up is written: where its estimate says little, its interval stands in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.contention import why_skewed

if TYPE_CHECKING:
    from edge_convnext.report.measured import BenchmarkReport

__all__ = ["is_loose", "show_ratio", "why_loose"]

_WIDE = 3.0  # times the lower end of an interval
_NOT_SHOWN = "-"


def is_loose(interval: tuple[float, float] | None, skewed: bool) -> bool:
    """Whether the estimate of a speed-up may be far off: it is not to be quoted alone.

    Args:
        interval: 95 % interval of the speed-up; None if there is none.
        skewed: True where other programs or a quota disturbed the timings.
    """
    return skewed or (interval is not None and interval[1] > _WIDE * interval[0])


def show_ratio(ratio: float, interval: tuple[float, float] | None, skewed: bool) -> str:
    """A table's cell: `2.50x`, or the lower end `>1.63x`, or `-` where there is no such end."""
    if not is_loose(interval, skewed):
        return f"{ratio:.2f}x"
    return f">{interval[0]:.2f}x" if interval else _NOT_SHOWN


def why_loose(benchmark: BenchmarkReport, interval: tuple[float, float] | None) -> str | None:
    """Why the estimate is not shown, with the load; None where it is."""
    skewed = why_skewed(benchmark.other_load_pct, benchmark.throttled_periods)
    if not is_loose(interval, skewed is not None):
        return None
    return skewed or f"the interval's ends are more than a factor of {_WIDE:g} apart"

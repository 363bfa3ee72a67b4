"""How a speed-up is written: where its estimate says little, its interval stands in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_convnext.core.contention import why_skewed
from edge_convnext.report.measured import smallest_batch

if TYPE_CHECKING:
    from edge_convnext.report.measured import BenchmarkReport, BenchmarkRow

__all__ = [
    "Timed",
    "interval_note",
    "rival_words",
    "show_ratio",
    "show_vs_raw",
    "timed_once_note",
    "why_loose",
]

_WIDE = 3.0  # times the lower end of an interval


class Timed(Protocol):
    """Timings, with what is known to have disturbed them: of a report, or before they are one."""

    @property
    def other_load_pct(self) -> float | None:
        """Share of the CPU that other programs took meanwhile; None if unknown."""

    @property
    def throttled_periods(self) -> int | None:
        """Periods in which a CPU quota stopped this process; None without a quota."""


def show_ratio(ratio: float, interval: tuple[float, float] | None, timed: Timed) -> str | None:
    """A speed-up in a table: `2.50x`, or where that says little the lower end, `>1.63x`.

    Args:
        ratio: Estimate.
        interval: 95 % interval; None if there is none.
        timed: Timings that it is of.

    Returns:
        The cell; None where the estimate says little, and there is no interval.
    """
    if why_loose(timed, interval) is None:
        return f"{ratio:.2f}x"
    return f">{interval[0]:.2f}x" if interval else None


def why_loose(timed: Timed, interval: tuple[float, float] | None) -> str | None:
    """Why an estimate says little, with the load; None where it may be quoted.

    This alone decides it, for the terminal, `report.md` and `report.html`.
    """
    if skewed := why_skewed(timed.other_load_pct, timed.throttled_periods):
        return skewed
    if interval is not None and interval[1] > _WIDE * interval[0]:
        return f"the interval's ends are more than a factor of {_WIDE:g} apart"
    return None


def show_vs_raw(benchmark: BenchmarkReport, row: BenchmarkRow, chosen: bool) -> str | None:
    """Speed over raw FP32; of rows that no interval is known of, only where nothing disturbed.

    Args:
        benchmark: Timings with a raw FP32.
        row: Row of the table.
        chosen: True for the candidate that the report's interval is of.
    """
    raw = benchmark.row(benchmark.raw_fp32, row.batch)
    if raw is None or not row.latency_ms_p50:
        return None
    ratio = raw.latency_ms_p50 / row.latency_ms_p50
    if row is raw:
        return f"{ratio:.2f}x"
    interval = benchmark.speedup_vs_raw_fp32_ci95 if chosen else None
    if chosen:
        ratio = benchmark.speedup_vs_raw_fp32 or ratio
    return show_ratio(ratio, interval, benchmark)


def interval_note(benchmark: BenchmarkReport) -> str:
    """The interval of the speed over raw FP32, for a footnote; empty without one."""
    interval = benchmark.speedup_vs_raw_fp32_ci95
    if interval is None:
        return ""
    low, high = interval
    over = benchmark.observations
    text = f"; vs raw: 95 % interval over {over} {low:.2f} to {high:.2f} where chosen"
    loose = why_loose(benchmark, interval)
    return text if loose is None else f"{text}, of which > is the lower end, for {loose}"


def rival_words(benchmark: BenchmarkReport, batch: int, quoted: bool) -> str:
    """What the speed is compared with, by what it is: the best float, or a harder rival.

    Args:
        benchmark: Timings with the rivals' names.
        batch: Batch size that the speed is of.
        quoted: True if ratios may be stated without an interval.
    """
    rival = benchmark.row(benchmark.hardest_float, batch)
    if rival is None:
        return f"the best float at batch {batch}"
    if benchmark.hardest_float == benchmark.best_float:
        return f"the best float ({_graph(rival)}) in {rival.runtime} at batch {batch}"
    text = (
        f"the float that it beats least surely ({_graph(rival)}) in {rival.runtime} at batch "
        f"{batch}"
    )
    best = benchmark.row(benchmark.best_float, batch)
    chosen = benchmark.row(benchmark.chosen, batch)
    if not quoted or best is None or chosen is None or not chosen.latency_ms_p50:
        return text
    ratio = best.latency_ms_p50 / chosen.latency_ms_p50
    return f"{text}, and {ratio:.2f}x that of the best float of the table ({_graph(best)})"


def _graph(row: BenchmarkRow) -> str:
    return f"{row.form} form{f', {row.precision_hint}' if row.precision_hint else ''}"


def timed_once_note(benchmark: BenchmarkReport) -> list[str]:
    """What was timed at the smallest batch size alone, and why; nothing where all were further."""
    if not benchmark.timed_once or not benchmark.rows:
        return []
    batch = smallest_batch(benchmark)
    timed = sum(row.batch == batch for row in benchmark.rows)
    return [
        f"{len(benchmark.timed_once)} of {timed} were timed at batch {batch} alone, and their "
        "memory was not measured: they are more than 1.3 times as slow as the fastest float or, "
        "in the built precision, as the fastest of their runtime."
    ]

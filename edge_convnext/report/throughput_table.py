"""The table of throughput in `report.md` and `report.html`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report.speed_words import show_ratio, why_loose
from edge_convnext.report.summary import graph_name, number

if TYPE_CHECKING:
    from edge_convnext.report.part import Interval
    from edge_convnext.report.throughput import ThroughputReport, ThroughputRow

__all__ = [
    "setting_cells",
    "setting_headings",
    "throughput_headings",
    "throughput_remarks",
    "throughput_rows",
]


def setting_headings(percentile: float) -> tuple[str, ...]:
    """Names of the columns of `setting_cells`."""
    return ("batch", "streams", "requests", "img/s", "p50 ms", f"p{percentile:g} ms")


def setting_cells(row: ThroughputRow) -> tuple[str, ...]:
    """One setting of a candidate, and how fast it was."""
    return (
        *map(str, (row.batch, row.streams, row.requests)),
        number(row.images_per_s, 0),
        number(row.latency_ms_p50, 2),
        number(row.latency_ms, 2),
    )


def throughput_headings(part: ThroughputReport) -> tuple[str, ...]:
    """Names of the columns of `throughput_rows`."""
    return ("artifact", "graph", *setting_headings(part.percentile), "best")


def throughput_rows(part: ThroughputReport) -> list[tuple[str, ...]]:
    """One for each setting of each candidate."""
    return [
        (row.artifact, graph_name(row), *setting_cells(row), "yes" if row.chosen else "")
        for row in part.rows
    ]


def throughput_remarks(part: ThroughputReport) -> list[str]:
    """What is shipped over the others, each at its best setting, as sentences."""
    return [
        f"Images per second over {name}, each at its best setting: {shown}."
        for name, ratio, interval in (
            ("raw FP32's", part.vs_raw_fp32, part.vs_raw_fp32_ci95),
            ("the best float's", part.vs_best_float, part.vs_best_float_ci95),
        )
        if (shown := _show(part, ratio, interval)) is not None
    ]


def _show(part: ThroughputReport, ratio: float | None, interval: Interval | None) -> str | None:
    if ratio is None:
        return None
    shown, loose = show_ratio(ratio, interval, part), why_loose(part, interval)
    if interval is None:
        return shown or f"not told, for {loose}"
    over = f"95 % interval over rounds: {interval[0]:.2f} to {interval[1]:.2f}"
    return f"{shown} ({over}{'' if loose is None else f'; > is the lower end, for {loose}'})"

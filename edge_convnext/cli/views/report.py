"""Print a report, timings, a profile or a ranking.

Texts from outside (class names, paths, reasons) are never read as markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rich.table import Table
from rich.text import Text

from edge_convnext.cli.views.boards import print_boards
from edge_convnext.cli.views.tables import grid, printer
from edge_convnext.report.speed_words import show_ratio
from edge_convnext.report.stage_table import stage_rows
from edge_convnext.report.summary import (
    MISSING,
    RECOVERY_HEADINGS,
    footnote,
    headings,
    number,
    plain,
    recovery_rows,
    summary_rows,
    title,
    verdict_line,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from edge_convnext.measure.profile import ModelProfile
    from edge_convnext.measure.speed import Ratio
    from edge_convnext.measure.timings import BenchmarkResult, TimedRow
    from edge_convnext.report.contract import Report
    from edge_convnext.report.summary import SummaryRow
    from edge_convnext.stages.sensitivity import Sensitivity

__all__ = [
    "print_profile",
    "print_ranking",
    "print_report",
    "print_rows",
]

_WIDE = 100  # columns that the whole summary needs
_LEFT_OUT_WHEN_NARROW = ("agree %", "MB")
_STATUS_STYLE = {"done": "green", "cached": "green", "failed": "red"}


def print_report(report: Report, console: Console) -> None:
    """Print the report for a person; below 100 columns the summary has less detail."""
    show = printer(console)
    if report.banner:
        show(Text(f"{plain(report.banner)}\n", style="yellow"))
    show(Text(plain(title(report)), style="bold"))
    for note in report.notes:
        show(Text(plain(note), style="yellow"))
    if rows := summary_rows(report):
        narrow = console.is_terminal and console.width < _WIDE
        show(Text())
        show(_summary_table(headings(report), rows, narrow))
        show(Text(footnote(report), style="dim"))
    show(Text())
    show(_stage_table(report))
    if report.recoveries:
        show(Text())
        show(_recovery_table(report))
    show(Text(f"\n{verdict_line(report)}", style=_verdict_style(report)))
    show(grid(((reason,) for reason in report.verdict.reasons), "l"))
    if report.boards:
        show(Text())
        print_boards(report.boards, console)
    show(Text(f"\nFiles in {plain(report.folder)}", style="bold"))
    show(grid(((file.path, f"{file.bytes / 1e6:.1f} MB") for file in report.outputs), "lr"))


def print_rows(
    timings: BenchmarkResult,
    console: Console,
    ratios: Mapping[tuple[str, int], Ratio] | None = None,
) -> None:
    """Print the timings of one benchmark; the first model is the base of `vs first`.

    Args:
        timings: Timings, the first model's first, with what disturbed them.
        console: Console to print on.
        ratios: Speed-ups over the first model, by artifact and batch; without one, that of the
            two medians is shown.
    """
    rows, ratios = timings.rows, ratios or {}
    base = {row.batch: row.latency_ms_p50 for row in rows if row.artifact == rows[0].artifact}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("model", overflow="fold")
    timed_gpu = any(row.gpu_ms_p50 is not None for row in rows)
    columns = ["batch", "p50 ms", "p90 ms", "p99 ms", "img/s", "vs first", "MB", "peak MB"]
    for name in (*columns, "GPU ms") if timed_gpu else columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            Text(plain(row.artifact)),
            str(row.batch),
            number(row.latency_ms_p50, 2),
            number(row.latency_ms_p90, 2),
            number(row.latency_ms_p99, 2),
            number(row.throughput_img_s, 0),
            _vs_first(timings, row, base[row.batch] / row.latency_ms_p50, ratios.get(_key(row))),
            number(row.size_bytes / 1e6, 1),
            number(row.peak_memory_bytes and row.peak_memory_bytes / 1e6, 0),
            *([number(row.gpu_ms_p50, 3)] if timed_gpu else []),
        )
    printer(console)(table)
    for row in rows:
        ratio = ratios.get(_key(row))
        if ratio is not None and (interval := _interval(ratio)) is not None:
            low, high = interval
            what = f"{plain(row.artifact)} at batch {row.batch}"
            text = f"vs first, 95 % interval over {ratio.rounds} rounds: {low:.2f} to {high:.2f}"
            printer(console)(Text(f"{text} ({what})", style="dim"))


def _key(row: TimedRow) -> tuple[str, int]:
    return row.artifact, row.batch


def _vs_first(
    timings: BenchmarkResult, row: TimedRow, of_medians: float, ratio: Ratio | None
) -> str:
    if row.artifact == timings.rows[0].artifact:
        return f"{of_medians:.2f}x"  # of itself
    if ratio is None:
        return show_ratio(of_medians, None, timings) or MISSING
    return show_ratio(ratio.median, _interval(ratio), timings) or MISSING


def _interval(ratio: Ratio) -> tuple[float, float] | None:
    low, high = ratio.ci95_lo, ratio.ci95_hi
    return None if low is None or high is None else (low, high)


def print_ranking(plan: str, ranking: Sequence[Sensitivity], console: Console) -> None:
    """Print what quantizing each operator costs, the most harmful first."""
    table = Table(title=plan, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("operation", overflow="fold")
    for name in ("noise %", "alone dB", "alone agree %", "spared dB", "spared agree %"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in ranking:
        table.add_row(
            Text(plain(one.name)),
            number(one.noise_share_pct, 1),
            number(one.alone_sqnr_db, 1),
            number(one.alone_agreement_pct, 1),
            number(one.spared_sqnr_db, 1),
            number(one.spared_agreement_pct, 1),
        )
    printer(console)(table)


def print_profile(profile: ModelProfile, top: int, console: Console) -> None:
    """Print where the time of one graph goes: by part of the network, and its slowest layers."""
    show = printer(console)
    facts = f"batch {profile.batch}, {profile.threads} threads, {profile.inferences} inferences"
    where = f"{profile.runtime} {profile.version} {profile.precision_hint}"
    show(Text(f"{plain(profile.model)} in {where}, {facts}", style="bold"))
    groups = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    groups.add_column("part")
    for name in ("layers", "ms", "share %"):
        groups.add_column(name, justify="right", no_wrap=True)
    groups.add_column("kernels", overflow="fold")
    groups.add_column("fused into", overflow="fold")
    for group in profile.groups:
        groups.add_row(
            group.part,
            str(group.layers),
            number(group.latency_ms, 3),
            number(group.share_pct, 1),
            _counts(group.kernels),
            _counts(group.fused_into),
        )
    show(groups)
    layers, latency = profile.layers_ms, profile.latency_ms_p50
    show(
        Text(
            f"layers {layers:.3f} ms; one call {profile.profiled_ms_p50:.3f} ms with the profiler, "
            f"{latency:.3f} ms without it: {latency - layers:+.3f} ms in no layer",
            style="dim",
        )
    )
    slowest = sorted(profile.layers, key=lambda layer: -layer.latency_ms_p50)[:top]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("ms", "share %", "GB/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("part", "dtype", "kernel", "layer"):
        table.add_column(name, overflow="fold")
    for layer in slowest:
        table.add_row(
            number(layer.latency_ms_p50, 3),
            number(layer.share_pct, 1),
            number(layer.bandwidth_gb_s, 1),
            layer.part,
            layer.dtype,
            Text(plain(layer.kernel)),
            Text(plain(layer.name)),
        )
    show(table)
    show(Text())


def _counts(counted: Sequence[tuple[str, int]]) -> Text:
    return Text(plain(", ".join(f"{name} ({count})" for name, count in counted)))


def _verdict_style(report: Report) -> str:
    if not report.verdict.passed:
        return "bold red"
    unsure = report.verdict.ship == "undecided" or report.verdict.confidence == "likely"
    return "bold yellow" if unsure else "bold green"


def _summary_table(names: Sequence[str], rows: Sequence[SummaryRow], narrow: bool) -> Table:
    left_out = _LEFT_OUT_WHEN_NARROW if narrow else ()
    kept = [position for position, name in enumerate(names) if name not in left_out]
    gap = 1 if narrow else 2
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
    for position in kept:
        justify: Literal["left", "right"] = "left" if position < 2 else "right"
        # In a narrow terminal, the graph's name takes two lines, so that no figure is lost.
        table.add_column(names[position], justify=justify, no_wrap=names[position] != "graph")
    for row in rows:
        cells = row.cells()
        kept_cells = (Text(plain(cells[position])) for position in kept)
        table.add_row(*kept_cells, style="bold" if row.chosen else "")
    return table


def _stage_table(report: Report) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for justify in ("left", "left", "right", "left"):
        table.add_column(justify=justify)
    for name, status, seconds, what in stage_rows(report):
        style = _STATUS_STYLE.get(status, "yellow")
        table.add_row(name, Text(status, style=style), seconds, Text(plain(what)))
    return table


def _recovery_table(report: Report) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for position, name in enumerate(RECOVERY_HEADINGS):
        table.add_column(name, justify="left" if position == 0 else "right")
    for row in recovery_rows(report):
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table

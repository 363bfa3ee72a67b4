"""Print timings, a profile or a ranking.

Texts from outside (class names, paths, reasons) are never read as markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edge_convnext.cli.views.tables import plain, printer
from edge_convnext.report.speed_words import show_ratio
from edge_convnext.report.summary import MISSING, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from edge_convnext.measure.profile import ModelProfile
    from edge_convnext.measure.speed import Ratio
    from edge_convnext.measure.timings import BenchmarkResult, TimedRow
    from edge_convnext.stages.sensitivity import Sensitivity

__all__ = [
    "print_profile",
    "print_ranking",
    "print_rows",
]


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

"""Print the results of a search as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edge_convnext.build.tuning.trials import REFINING
from edge_convnext.cli.views.tables import plain
from edge_convnext.core.contention import QUIET_PCT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from edge_convnext.build.tuning.gpu_files import GpuTuneReport
    from edge_convnext.build.tuning.report import TuneReport
    from edge_convnext.build.tuning.trials import GpuTrial, Trial

__all__ = ["print_gpu_tuning", "print_tuning"]

_SHOWN_TRIALS = 12  # per runtime; tune.json has all trials
_SHOWN_GPU_TRIALS = 8  # per table; tune.json has all trials
_HEAD = ("", "form", "placement", "kernels", "MB", "GOP", "ms*", "l/b/o %", "dB", "drop pp", "why")
_LEFT = ("", "form", "placement", "why")
_WIDE = 110  # columns that the reasons need; tune.json has them too
_LEGEND = (
    "l/b/o %: shares of the time that kernels spend on being launched, on bytes they read and "
    "write, and on operations. MB: what the kernels read and "
    "write, weights included. dB, drop: INT8 against its float graph, where that was checked."
)


def print_tuning(report: TuneReport, console: Console) -> None:
    """Print the fastest trials of each runtime, with the Pareto front marked.

    What was tried by role and stage, on the plan that won, has a table of its own.
    """
    for runtime, stopped in report.result.stopped.items():
        trials = [one for one in report.result.trials if one.runtime == runtime]
        whole = [one for one in trials if one.heat < REFINING]
        raced = sum(one.lap is not None for one in whole)
        title = f"{runtime}: {raced} raced, {len(whole) - raced} not; {stopped}"
        console.print(_cpu_table(title, whole), highlight=False)
        if refined := report.result.refined.get(runtime):
            changes = [one for one in trials if one.heat >= REFINING]
            # Above the table, and not its title: it may be wider.
            console.print(Text(plain(f"{runtime}, by role and stage: {refined}")))
            if changes:
                console.print(_cpu_table(None, changes), highlight=False)
    console.print(
        "ms: in the last rung that a plan ran in. Rungs run at different times: compare the "
        "ratios, which are paired by round. dB, drop: of the plans that were checked.",
        style="dim",
        highlight=False,
    )
    if report.result.other_load_pct > QUIET_PCT:
        console.print(
            f"Other programs took up to {report.result.other_load_pct:.0f} % of the CPU during "
            "the races: tune again on a quiet machine. What was timed meanwhile is not "
            "remembered.",
            highlight=False,
        )


def _cpu_table(title: str | None, trials: Sequence[Trial]) -> Table:
    timed = [one for one in trials if one.lap is not None]
    table = Table(
        title=None if title is None else plain(title),
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    table.add_column("plan", overflow="fold")
    for name in ("ms", "dB", "drop pp"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold", ratio=1)
    for one in timed[:_SHOWN_TRIALS]:
        table.add_row(*(Text(plain(cell)) for cell in _cpu_cells(one, _on_front(one, timed))))
    return table


def _cpu_cells(one: Trial, front: bool) -> tuple[str, ...]:
    parity = one.parity
    sqnr = "-" if parity is None or parity.sqnr_db is None else f"{parity.sqnr_db:.1f}"
    drop = "-" if one.top1_drop_pp is None else f"{one.top1_drop_pp:.2f}"
    mark = "won" if one.won else ("front" if front else "")
    latency = "-" if one.lap is None else f"{one.lap.latency_ms_p50:.2f}"
    plan = " ".join(filter(None, [one.plan.label, one.hint])).replace("+", " ")
    return mark, plan, latency, sqnr, drop, one.reason


def _on_front(one: Trial, timed: Sequence[Trial]) -> bool:
    """Whether no other finalist is both as fast and more accurate."""
    if one.parity is None or one.lap is None:
        return False
    own = one.parity.sqnr_or_inf
    return not any(
        other.lap is not None
        and other.parity is not None
        and other.heat == one.heat
        and other.lap.ratio <= one.lap.ratio
        and other.parity.sqnr_or_inf > own
        for other in timed
    )


def print_gpu_tuning(report: GpuTuneReport, console: Console) -> None:
    """Print a table for each batch and precision, the fastest by the model first."""
    for batch in dict.fromkeys(one.batch for one in report.result.trials):
        for precision in ("fp16", "int8"):
            own = [
                one
                for one in report.result.trials
                if (one.batch, one.plan.precision) == (batch, precision)
            ]
            if own:
                title = f"{report.result.gpu.name}, batch {batch}, {precision}"
                table = _table(title, own, wide=console.width >= _WIDE)
                console.print(table, highlight=False)
    console.print(f"* {report.result.note} {_LEGEND}", style="dim", highlight=False)
    console.print(
        "Verdict: undecided, since no GPU timed anything.",
        highlight=False,
    )


def _table(title: str, trials: Sequence[GpuTrial], *, wide: bool) -> Table:
    built = [one for one in trials if one.cost is not None]
    unbuilt = len(trials) - len(built)
    table = Table(
        title=f"{title}: {len(built)} modelled, not timed; {unbuilt} not built",
        title_justify="left",
        box=None,
        padding=(0, 2 if wide else 1, 0, 0),
        pad_edge=False,
    )
    head = _HEAD if wide else _HEAD[:-1]
    for name in head:
        folds = name in ("form", "placement", "why")
        table.add_column(
            name,
            justify="left" if name in _LEFT else "right",
            no_wrap=not folds,
            overflow="fold",
            min_width=8 if folds else None,
        )
    for one in built[:_SHOWN_GPU_TRIALS]:
        table.add_row(*map(Text, _gpu_cells(one)[: len(head)]))
    return table


def _gpu_cells(one: GpuTrial) -> tuple[str, ...]:
    cost = one.cost
    assert cost is not None  # trials without a cost are not shown
    sqnr_db = one.parity.sqnr_db if one.parity else None
    return (
        "pick" if one.picked else str(one.rank or ""),
        one.plan.form,
        one.plan.placement or "-",
        str(cost.kernels),
        f"{(cost.activation_bytes + cost.weight_bytes) / 1e6:.1f}",
        f"{cost.ops / 1e9:.2f}",
        f"{cost.modelled_ms:.3f}",
        "/".join(f"{share:.0f}" for share in cost.shares_pct),
        "-" if sqnr_db is None else f"{sqnr_db:.1f}",
        "-" if one.top1_drop_pp is None else f"{one.top1_drop_pp:.2f}",
        one.reason,
    )

"""Print what a search on a board found: the races, and the last one in each power mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edge_convnext.cli.views.tables import plain
from edge_convnext.core.contention import QUIET_PCT
from edge_convnext.report.summary import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from edge_convnext.devices.tuning.result import BoardSearch, BoardTrial, LastRace, LastRow

__all__ = ["print_board_search"]

_SHOWN_TRIALS = 16  # tune.json has all


def print_board_search(found: BoardSearch, console: Console) -> None:
    """Print the trials, then a table of the last race for each power mode."""
    raced = sum(one.latency_ms_p50 is not None for one in found.trials)
    left = len(found.trials) - raced
    with_what = f", {found.builder}" if found.builder else ""
    title = f"{found.board}{with_what}: {raced} raced, {left} left out; {found.stopped}"
    console.print(Text(plain(title)))
    rows = [_trial_cells(one) for one in found.trials[:_SHOWN_TRIALS]]
    console.print(_table(("", "graph", "ms", "agree %", "drop pp", "why"), rows), highlight=False)
    for race in found.races:
        _print_race(race, console)
    if found.other_load_pct > QUIET_PCT:
        console.print(
            f"Other programs took up to {found.other_load_pct:.0f} % of the CPU during the races: "
            "search again on an idle board.",
            highlight=False,
        )
    for text in found.notes:
        console.print(Text(plain(text)), style="dim")


def _print_race(race: LastRace, console: Console) -> None:
    mode = f"power mode {race.power_mode}" if race.power_mode else "the last race"
    if not race.rows:
        console.print(Text(plain(f"\n{mode}: not raced: {race.reason}")))
        return
    console.print(Text(plain(f"\n{mode}, loaded afresh:")))
    head = ("candidate", "batch", "ms", "images/s", "over the float", "mJ/image", "W")
    cells = [_row_cells(row) for row in race.rows]
    console.print(_table(head, cells), highlight=False)
    for text in race.notes:
        console.print(Text(plain(text)), style="dim")


def _trial_cells(one: BoardTrial) -> tuple[str, ...]:
    return (
        "won" if one.won else "",
        one.name.replace("+", " "),
        MISSING if one.latency_ms_p50 is None else f"{one.latency_ms_p50:.2f}",
        MISSING if one.agreement_pct is None else f"{one.agreement_pct:.2f}",
        MISSING if one.top1_drop_pp is None else f"{one.top1_drop_pp:.2f}",
        one.reason,
    )


def _row_cells(row: LastRow) -> tuple[str, ...]:
    over = MISSING
    if row.vs_best_float is not None:
        interval = row.vs_best_float_ci95
        shown = "" if interval is None else " [{:.2f}, {:.2f}]".format(*interval)
        over = f"{row.vs_best_float:.2f}x{shown}"
    energy = row.energy
    return (
        row.name.replace("+", " "),
        str(row.batch),
        f"{row.gpu_ms_p50 or row.latency_ms_p50:.3f}",
        f"{row.throughput_img_s:.1f}",
        over,
        MISSING if energy is None else f"{energy.energy_mj_per_image:.2f}",
        MISSING if energy is None else f"{energy.mean_w:.1f}",
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in head:
        folds = name in ("graph", "candidate", "why")
        table.add_column(
            name, justify="left" if folds or not name else "right", overflow="fold",
            no_wrap=not folds,
        )  # fmt: skip
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table

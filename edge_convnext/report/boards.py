"""What ships on which board: one table, on the terminal, in `report.md` and in `report.html`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.contention import QUIET_PCT
from edge_convnext.report.measured import smallest_batch
from edge_convnext.report.speed_words import show_ratio
from edge_convnext.report.summary import MISSING, number

if TYPE_CHECKING:
    from edge_convnext.report.contract import BoardRun
    from edge_convnext.report.measured import BenchmarkReport, BenchmarkRow

__all__ = ["BOARD_HEADINGS", "board_cells", "raced"]

BOARD_HEADINGS = (
    "board", "ship", "runs", "ms", "vs float", "drop pp [95 %]", "mJ/image", "clocks", "raced",
    "other load",
)  # fmt: skip
_CLOCKS = {True: "locked", False: "not locked", None: MISSING}


def board_cells(run: BoardRun) -> tuple[str, ...]:
    """Cells of one board's line; `-` where nothing was measured."""
    benchmark, accuracy = run.benchmark, run.accuracy
    shipped = _shipped(run)
    drop = MISSING
    if shipped is not None and accuracy is not None:
        scores = {one.artifact: one for one in accuracy.candidates}
        if score := scores.get(shipped.artifact):
            low, high = score.top1_drop_ci95_pp
            drop = f"{score.top1_drop_pp:.2f} [{low:.2f}, {high:.2f}]"
    energy = {one.artifact: one.energy_mj_per_image for one in run.board.energy}
    chosen = shipped is not None and benchmark is not None and shipped.artifact == benchmark.chosen
    return (
        run.board.name,
        ", ".join(filter(None, (run.verdict.ship, run.verdict.confidence))),
        shipped.artifact if shipped else MISSING,
        number(shipped.latency_ms_p50, 2) if shipped else MISSING,
        _ratio(benchmark) if chosen else MISSING,
        drop,
        number(energy.get(shipped.artifact), 1) if shipped else MISSING,
        _CLOCKS[run.board.clocks_locked],
        raced(run) or MISSING,
        _other_load(run),
    )


def _ratio(benchmark: BenchmarkReport | None) -> str:
    ratio = benchmark.speedup_vs_best_float if benchmark else None
    if not benchmark or not ratio:
        return MISSING
    interval = benchmark.speedup_vs_best_float_ci95
    return show_ratio(ratio, interval, benchmark) or MISSING


def raced(run: BoardRun) -> str:
    """The runtimes that were timed there."""
    rows = run.benchmark.rows if run.benchmark else ()
    return ", ".join(dict.fromkeys(row.runtime for row in rows))


def _other_load(run: BoardRun) -> str:
    """Share of the CPU that other programs took during the timings."""
    load = run.benchmark.other_load_pct if run.benchmark else None
    if load is None:
        return MISSING
    return f"{load:.0f} %{': repeat it idle' if load > QUIET_PCT else ''}"


def _shipped(run: BoardRun) -> BenchmarkRow | None:
    """Timing of the shipped candidate at the smallest batch."""
    benchmark = run.benchmark
    if benchmark is None or run.verdict.ship == "undecided":
        return None
    batch = smallest_batch(benchmark)
    names = (benchmark.chosen, benchmark.best_float)
    rows = (benchmark.row(name, batch) for name in names)
    return next((row for row in rows if row and row.precision == run.verdict.ship), None)

"""Several reports in one table: what ships in each, how fast it is, what it costs, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_convnext.report.html.parts import make_table
from edge_convnext.report.measured import smallest_batch
from edge_convnext.report.speed_words import show_ratio
from edge_convnext.report.summary import MISSING, number, show_date, verdict_line

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report
    from edge_convnext.report.html.parts import Limits, Table

__all__ = ["overview_table"]


def overview_table(reports: Sequence[Report], limits: Limits) -> Table:
    """One row for each report, in the order in which they were given."""
    headings = (
        *(
            "no.",
            "model",
            "label",
            "made",
            "verdict",
            "chosen",
            "batch",
            "p50 ms",
            "vs float",
            "drop pp [95 %]",
        ),
        *("images", "machine", "fingerprint"),
    )
    rows = ((str(place), *_cells(report)) for place, report in enumerate(reports, 1))
    return make_table("All reports", headings, rows, limits, folded=False)


def _cells(report: Report) -> tuple[str, ...]:
    accuracy, benchmark = report.accuracy, report.benchmark
    row = benchmark.row(benchmark.chosen, smallest_batch(benchmark)) if benchmark else None
    ratio = benchmark.speedup_vs_best_float if benchmark else None
    shown = (
        show_ratio(ratio, benchmark.speedup_vs_best_float_ci95, benchmark)
        if benchmark and ratio is not None
        else None
    )
    drop = MISSING
    if accuracy and accuracy.top1_drop_pp is not None and accuracy.top1_drop_ci95_pp:
        low, high = accuracy.top1_drop_ci95_pp
        drop = f"{accuracy.top1_drop_pp:.2f} [{low:.2f}, {high:.2f}]"
    board = report.board.name if report.board else None
    return (
        report.model.name,
        report.label or MISSING,
        show_date(report),
        verdict_line(report).removeprefix("Verdict: "),
        row.artifact if row else MISSING,
        str(row.batch) if row else MISSING,
        number(row.latency_ms_p50 if row else None, 2),
        shown or MISSING,
        drop,
        f"{accuracy.n_images:,}" if accuracy else MISSING,
        board or report.environment.cpu_model,
        report.environment.fingerprint,
    )

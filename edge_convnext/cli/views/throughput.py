"""Print throughput: every setting of every model, the chosen ones compared with the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edge_convnext.cli.views.tables import plain, printer
from edge_convnext.measure.throughput_to_report import report_throughput
from edge_convnext.measure.to_report import report_interval
from edge_convnext.report.speed_words import show_ratio
from edge_convnext.report.summary import MISSING
from edge_convnext.report.throughput_table import setting_cells, setting_headings

if TYPE_CHECKING:
    from rich.console import Console

    from edge_convnext.measure.throughput import ThroughputResult, ThroughputRow

__all__ = ["print_throughput"]


def print_throughput(result: ThroughputResult, console: Console) -> None:
    """Print a row for each setting; the chosen one of each model is bold.

    Args:
        result: Result of `measure_throughput`; the first model is the base of `vs first`.
        console: Console to print on.
    """
    show = printer(console)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("model", overflow="fold")
    tail = f"p{result.wanted.percentile:g} ms"
    for name in (*setting_headings(result.wanted.percentile), "vs first"):
        table.add_column(name, justify="right", no_wrap=True)
    part = report_throughput(result, lambda one: one.name)
    for row, told in zip(result.rows, part.rows, strict=True):
        table.add_row(
            Text(plain(row.candidate.name)),
            *setting_cells(told),
            _vs_first(result, row),
            style="bold" if row.chosen else "",
        )
    show(table)
    for text in _remarks(result, tail):
        show(Text(text, style="dim"))


def _vs_first(result: ThroughputResult, row: ThroughputRow) -> str:
    first = result.rows[0].candidate.name
    if not row.chosen or row.candidate.name == first:
        return ""
    ratio = result.ratio(row.candidate.name, first)
    if ratio is None:
        return MISSING
    return show_ratio(ratio.median, report_interval(ratio), result) or MISSING


def _remarks(result: ThroughputResult, tail: str) -> list[str]:
    limit = result.wanted.limit_ms
    if limit is None:
        what = "most images per second"
    else:
        what = f"most images per second within {limit:g} ms"
    texts = [f"bold: {what}, timed again after the choice; {tail[:-3]} of a request with its batch"]
    names = dict.fromkeys(row.candidate.name for row in result.rows)
    none = [name for name in names if result.best(name) is None]
    if none and limit is not None:
        texts.append(f"no setting known to be within {limit:g} ms: {', '.join(map(plain, none))}")
    return texts

"""A comparison on the terminal: the counts first, then what was found, what changed, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edge_convnext.cli.views.tables import printer
from edge_convnext.report.compare.sections import comparison_sections

if TYPE_CHECKING:
    from rich.console import Console

    from edge_convnext.report.compare.compare import Comparison
    from edge_convnext.report.compare.sections import Section

__all__ = ["print_comparison"]


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print every section; of a long table the first rows."""
    show = printer(console)
    for number, section in enumerate(comparison_sections(comparison)):
        if number:
            show("")
        show(Text(section.title, style="bold"))
        shown = section.short()
        for sentence in shown.sentences:
            show(Text(sentence))
        if shown.rows:
            show(_table(shown))


def _table(section: Section) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in section.headings:
        table.add_column(heading and Text(heading), overflow="fold")
    for row in section.rows:
        table.add_row(*map(Text, row))
    return table

"""The table of a history on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edge_convnext.cli.views.tables import printer
from edge_convnext.report.history.outputs import HEADINGS, busy_note, cells

if TYPE_CHECKING:
    from rich.console import Console

    from edge_convnext.report.history.entries import Entry

__all__ = ["print_history"]

_NUMBERS = ("top-1 %", "MB")


def print_history(entries: Sequence[Entry], console: Console) -> None:
    """Print one line for each entry, in their order."""
    show = printer(console)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in HEADINGS:
        side = "right" if heading in _NUMBERS else "left"
        table.add_column(Text(heading), justify=side, overflow="fold")  # type: ignore[arg-type]
    for one in entries:
        table.add_row(*map(Text, cells(one)))
    show(table)
    show(Text(busy_note(entries)))

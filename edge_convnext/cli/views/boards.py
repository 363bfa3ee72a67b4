"""Print which model ships on which board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report.boards import BOARD_HEADINGS, board_cells
from edge_convnext.report.summary import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from edge_convnext.report.contract import BoardRun

__all__ = ["print_boards"]


def print_boards(
    runs: Sequence[BoardRun], console: Console, hosts: Sequence[str] | None = None
) -> None:
    """Print the table, with the names of the hosts in front where they are given."""
    from rich.table import Table
    from rich.text import Text

    from edge_convnext.cli.views.tables import plain, printer

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    rows = [board_cells(run) for run in runs]
    # A column without values would only make the others narrow.
    shown = [at for at in range(len(BOARD_HEADINGS)) if {row[at] for row in rows} != {MISSING}]
    for name in (*(["host"] if hosts else []), *(BOARD_HEADINGS[at] for at in shown)):
        table.add_column(name, overflow="fold")
    for place, row in enumerate(rows):
        cells = (*([hosts[place]] if hosts else []), *(row[at] for at in shown))
        table.add_row(*(Text(plain(cell)) for cell in cells))
    printer(console)(table)

"""Print tables and lines on a terminal, or into a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edge_convnext.core.text import without_commands
from edge_convnext.report import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console, RenderableType


__all__ = ["grid", "plain", "printer"]

_PIPE_WIDTH = 120  # columns if the output is not a terminal


def printer(console: Console) -> Callable[[RenderableType], None]:
    """A function that prints a line or a table; a pipe gets the width that whole tables need."""
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)

    def show(what: RenderableType) -> None:
        console.print(what, highlight=False)

    return show


def plain(text: str) -> str:
    """One line of text from outside that steers neither a terminal nor the runner of a job."""
    return without_commands(words.plain(text))


def grid(rows: Iterable[Sequence[str]], justify: str) -> Padding:
    """Indented rows without a heading; `justify` has an `l` or an `r` for each column."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for side in justify:
        table.add_column(justify="right" if side == "r" else "left")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    return Padding(table, (0, 0, 0, 2), expand=False)

"""Print the table of shipped recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from edge_convnext.core.image_size import show_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

__all__ = ["print_recipes"]


def print_recipes(rows: Sequence[Mapping[str, Any]], folder: Path, console: Console) -> None:
    """Print what each recipe states, and the folder of the recipes."""
    table = Table(box=None)
    for column in ("name", "model", "px", "about"):
        table.add_column(column)
    for row in rows:
        size = row["image_size"]
        shown = {**row, "image_size": size if size is None else show_size(size)}
        table.add_row(*(str(value) for value in shown.values()))
    console.print(table)
    console.print(f"in {folder}", markup=False, soft_wrap=True)

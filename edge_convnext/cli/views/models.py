"""Print the table of architectures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from edge_convnext.core.image_size import show_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from edge_convnext.core.image_size import ImageSize

__all__ = ["print_models"]


def print_models(
    rows: Sequence[Mapping[str, Any]], image_size: ImageSize, console: Console
) -> None:
    """Print parameters, MACs and published top-1, a line for each model."""
    table = Table(title=f"1000 classes, {show_size(image_size)} px", box=None)
    for column in ("model", "params M", "MACs G", "top-1 %", "source"):
        table.add_column(column, justify="left" if column in ("model", "source") else "right")
    for row in rows:
        top1 = row["published_top1_pct"]
        table.add_row(
            row["model"],
            f"{row['params'] / 1e6:.1f}",
            f"{row['macs'] / 1e9:.2f}",
            f"{top1:.2f}" if top1 is not None else "-",
            row["source"] or "none recorded here",
        )
    console.print(table)

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
    rows: Sequence[Mapping[str, Any]],
    image_size: ImageSize,
    console: Console,
    further: Mapping[str, str] | None = None,
) -> None:
    """Print parameters, MACs and published top-1, a line for each model, and how others are named.

    Args:
        rows: Facts of each model.
        image_size: Size of the images that MACs are counted for, in pixels.
        console: Console to print on.
        further: Text that says how models of an open family are named, by prefix.
    """
    table = Table(title=f"1000 classes, {show_size(image_size)} px", box=None)
    for column in ("model", "params M", "MACs G", "top-1 %", "source"):
        table.add_column(column, justify="left" if column in ("model", "source") else "right")
    for row in rows:
        top1 = row["published_top1_pct"]
        table.add_row(
            row["model"],
            _scaled(row["params"], 1e6, 1),
            _scaled(row["macs"], 1e9, 2),
            f"{top1:.2f}" if top1 is not None else "-",
            row["source"] or "none recorded here",
        )
    console.print(table)
    if further:
        console.print("\nOther networks, and how --model or --weights names them:")
    for how in (further or {}).values():
        console.print(f"  {how}", markup=False, highlight=False, soft_wrap=True)


def _scaled(count: int | None, unit: float, digits: int) -> str:
    return "-" if count is None else f"{count / unit:.{digits}f}"

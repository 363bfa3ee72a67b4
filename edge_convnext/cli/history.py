"""`edge-convnext history`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_convnext.cli.console import VerboseFlag, note
from edge_convnext.cli.written import write_files

__all__ = ["history"]


def history(
    folder: Annotated[Path, typer.Argument(help="Folder that builds and baselines are below.")],
    sort: Annotated[
        Literal["date", "label", "top1", "drop", "latency", "size"],
        typer.Option(help="Order of the printed table: the oldest first, or the best first."),
    ] = "date",
    html: Annotated[
        Path | None,
        typer.Option(help="Write one HTML page: the trend, and a table that sorts on a click."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every figure as CSV.")] = None,
    verbose: VerboseFlag = False,
) -> None:
    """Show all builds, boards' reports and baselines below a folder as one table.

    What can't be read is told on stderr, and left out.
    """
    from rich.console import Console

    from edge_convnext.build.apart import require_apart
    from edge_convnext.cli.views.history import print_history
    from edge_convnext.report.history.entries import find_history, sort_entries
    from edge_convnext.report.history.outputs import to_csv, to_html

    found = find_history(folder)
    require_apart((html, csv), found.read)
    print_history(sort_entries(found.entries, sort), Console())
    for reason in found.skipped:
        note(f"left out: {reason}")
    texts = {}
    if html is not None:
        texts[html] = to_html(found)
    if csv is not None:
        texts[csv] = to_csv(found)
    write_files(texts)

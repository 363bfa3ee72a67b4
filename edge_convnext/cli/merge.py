"""`edge-convnext merge`: add measurements of boards to the report of their build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_convnext.cli.console import JsonFlag, VerboseFlag, note, print_json
from edge_convnext.cli.values import as_folder

__all__ = ["merge"]


def merge(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the build, or its report.json.", callback=as_folder)
    ],
    reports: Annotated[
        list[Path],
        typer.Argument(help="Reports of boards: report.json, or the folder that it is in."),
    ],
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Add measurements of boards to the report of the build that their bundle was made from."""
    from edge_convnext.devices.bench.merge import merge_boards

    report = merge_boards(folder, reports, note)
    if json:
        print_json(report.model_dump(mode="json", by_alias=True))
        return
    from rich.console import Console

    from edge_convnext.cli.views.boards import print_boards

    print_boards(report.boards, Console())

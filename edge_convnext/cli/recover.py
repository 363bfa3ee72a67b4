"""`edge-convnext recover`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edge_convnext.cli.console import Terminal, print_outcome, progress
from edge_convnext.cli.flags import Overrides
from edge_convnext.cli.options import FLAGS, flags
from edge_convnext.cli.signature import command
from edge_convnext.cli.values import as_folder

__all__ = ["recover"]

_MOVED = flags(
    replace(
        FLAGS["load.weights"],
        help="Checkpoint of the build, if the recorded file is no longer there.",
    ),
    replace(
        FLAGS["data.source"],
        help="Images of the build, if the recorded folder or CSV is no longer there.",
    ),
    replace(
        FLAGS["model"],
        help="Model of the build, once more, where it is code of your own (module:…).",
    ),
    *("recover.images", "recover.epochs", "recover.lr"),
)


@command
def recover(
    *,
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of a finished INT8 build, or its report.json.", callback=as_folder
        ),
    ],
    stated: Annotated[Overrides, _MOVED],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the new build. Default: the build is replaced.")
    ] = None,
    terminal: Terminal,
) -> None:
    """Fine-tune a build's INT8 graphs with the float graph as their teacher; build it again.

    Only constants of the graphs change. No labels are needed, and no evaluation images are used.
    """
    from edge_convnext.build.amend import recover_build

    with progress(terminal.silent) as track:
        report = recover_build(folder, stated, out, track=track)
    print_outcome(report, terminal.json)

"""`edge-convnext sensitivity`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edge_convnext.cli.console import Terminal, print_json, progress
from edge_convnext.cli.flags import Overrides
from edge_convnext.cli.options import FLAGS, flags
from edge_convnext.cli.signature import command
from edge_convnext.cli.values import as_folder

__all__ = ["sensitivity"]

_MODEL = flags(
    replace(
        FLAGS["model"],
        help="Model of the build, once more, where it is code of your own (module:…).",
    )
)


@command
def sensitivity(
    *,
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of a finished INT8 build, or its report.json.", callback=as_folder
        ),
    ],
    stated: Annotated[Overrides, _MODEL],
    terminal: Terminal,
) -> None:
    """Rank a build's INT8 operators by the accuracy that quantizing each one costs.

    Each operator is quantized alone, and then all except it. The logits are compared with the float
    graph's on 32 calibration images. The ranking is added to the build's report.
    """
    from dataclasses import asdict

    from edge_convnext.build.amend import add_sensitivity, rank_build

    with progress(terminal.silent) as track:
        found = rank_build(folder, overrides=stated, track=track)
    add_sensitivity(folder, found)
    if terminal.json:
        print_json({plan: [asdict(one) for one in ranking] for plan, ranking in found.items()})
        return
    from rich.console import Console

    from edge_convnext.cli.views.report import print_ranking

    for plan, ranking in found.items():
        print_ranking(plan, ranking, Console())

"""`edge-convnext recover`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_convnext.cli.console import (
    JsonFlag,
    QuietFlag,
    VerboseFlag,
    data_source,
    print_json,
    progress,
)

__all__ = ["recover"]


def recover(
    folder: Annotated[Path, typer.Argument(help="Of a finished INT8 build.")],
    weights: Annotated[
        str | None, typer.Option(help="Where the recorded file is no longer there.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Where the recorded folder or CSV is no longer there.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="From the training side; a fifth only judges.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over them.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate of the weights.")] = None,
    out: Annotated[Path | None, typer.Option(help="Default: the build is replaced.")] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Fine-tune a build's INT8 graphs with the float graph as their teacher; build it again.

    The nodes stay, the constants change. No labels are needed; evaluation images are not used.
    """
    overrides: dict[str, Any] = {
        "load.weights": weights,
        "data.source": data_source(data) if data else None,
        "recover.images": images,
        "recover.epochs": epochs,
        "recover.lr": lr,
    }
    stated = {field: value for field, value in overrides.items() if value is not None}
    from edge_convnext.build.amend import recover_build

    with progress(quiet or json) as track:
        report = recover_build(folder, stated, out, track=track)
    if json:
        print_json(report.model_dump(mode="json", by_alias=True))
        return
    from rich.console import Console

    from edge_convnext.cli.views.report import print_report

    print_report(report, Console())

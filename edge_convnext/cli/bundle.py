"""`edge-convnext bundle` and `merge`: to a board, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_convnext.cli.console import JsonFlag, QuietFlag, VerboseFlag, note, print_json, progress

__all__ = ["bundle", "merge"]


def bundle(
    folder: Annotated[Path, typer.Argument(help="Of a finished build.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The bundle, such as atto.ecb.")],
    evaluation: Annotated[
        Literal["images", "tensors", "none"],
        typer.Option(
            help="Evaluation images: the files as they are; resized uint8 pixels, which every "
            "board decodes alike; or none, and the board tells speed alone."
        ),
    ] = "images",
    data: Annotated[
        Path | None, typer.Option(help="Where the build's data is now, if it was moved.")
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Pack a finished build for a board: graphs, evaluation images, recipe, report.

    A plain zip of data, hashed file by file. `edge-convnext bench` takes it on the board.
    """
    from edge_convnext.devices.bundle.write import write_bundle

    with progress(quiet or json) as track:
        manifest = write_bundle(folder, out, evaluation, data, track)
    shown = manifest.evaluation
    if json:
        print_json(
            {
                "path": str(out),
                "bytes": out.stat().st_size,
                "graphs": [graph.name for graph in manifest.graphs],
                "evaluation": shown.kind if shown else "none",
                "n_images": shown.n_images if shown else 0,
            }
        )
        return
    images = f"{shown.n_images:,} images as {shown.kind}" if shown else "no evaluation images"
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB, {len(manifest.graphs)} graphs, {images}")
    typer.echo(f"On the board: edge-convnext bench {out.name}")
    typer.echo(f"From here: edge-convnext bench {out} --host USER@BOARD")


def merge(
    folder: Annotated[Path, typer.Argument(help="Of the build.")],
    reports: Annotated[
        list[Path], typer.Argument(help="Board reports: report.json, or the folder it is in.")
    ],
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Fold what boards measured into the report of the build they got their bundle from."""
    from edge_convnext.devices.bench.merge import merge_boards

    report = merge_boards(folder, reports, note)
    if json:
        print_json(report.model_dump(mode="json", by_alias=True))
        return
    from rich.console import Console

    from edge_convnext.cli.views.boards import print_boards

    print_boards(report.boards, Console())

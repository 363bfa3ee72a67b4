"""`edge-convnext bundle`: pack a build for a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_convnext.cli.console import Terminal, note, print_json, progress
from edge_convnext.cli.signature import command
from edge_convnext.cli.values import as_folder

__all__ = ["bundle"]


@command
def bundle(
    *,
    folder: Annotated[
        Path,
        typer.Argument(help="Folder of a finished build, or its report.json.", callback=as_folder),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File of the bundle, such as atto.ecb.")],
    evaluation: Annotated[
        Literal["images", "tensors", "none"],
        typer.Option(
            help="Evaluation images in the bundle. images: the files as they are. tensors: "
            "resized uint8 pixels, which every board decodes alike. none: the board measures "
            "only speed."
        ),
    ] = "images",
    data: Annotated[
        Path | None,
        typer.Option(help="New place of the build's images, if they were moved."),
    ] = None,
    terminal: Terminal,
) -> None:
    """Pack a finished build for a board: graphs, evaluation images, recipe, report.

    The bundle is a zip file with a hash of every file in it. On the board, pass it to
    `edge-convnext bench`.
    """
    from edge_convnext.devices.bundle.write import write_bundle

    with progress(terminal.silent) as track:
        manifest = write_bundle(
            folder, out, evaluation, data, track, lambda text: note(text, terminal.silent)
        )
    shown = manifest.evaluation
    if terminal.json:
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

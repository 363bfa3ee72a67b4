"""`edge-convnext card`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_convnext.cli.console import VerboseFlag, note
from edge_convnext.cli.values import as_folder

__all__ = ["card"]


def card(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the build, or its report.json.", callback=as_folder)
    ],
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the model, such as apache-2.0. Default: what the weights' source "
            "states; none is guessed."
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Dataset on the hub that it was trained on; may be repeated."),
    ] = None,
    base_model: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME",
            help="Model on the hub that it was made from. Default: where the weights are from.",
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME",
            help="Upload the card and the models to this repository of the Hugging Face hub.",
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make a new repository of --push public.")
    ] = False,
    verbose: VerboseFlag = False,
) -> None:
    """Write a Hugging Face model card of a build: README.md, perf.yaml and numerics.yaml.

    Nothing is sent anywhere without --push.
    """
    from edge_convnext.report.card.push import check_repository, push_card
    from edge_convnext.report.card.stated import Stated, licence_fields
    from edge_convnext.report.card.write import make_card, write_card

    if public and push is None:
        raise typer.BadParameter("--public is of --push; pass both, or neither")
    if push is not None:
        check_repository(push)
    stated = Stated(licence, tuple(dataset or ()), base_model)
    made = make_card(folder, stated)
    for path in write_card(made):
        typer.echo(f"wrote {path}")
    if not licence_fields(made.report, stated):
        note("the licence is not known: the card says so; state it with --licence")
    if push is not None:
        address = push_card(made, push, public)
        typer.echo(f"pushed {len(made.published)} files to {push}: {address}")

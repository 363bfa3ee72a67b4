"""`edge-convnext eval`: measure the top-1 of a built model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_convnext.cli.console import Terminal, note, print_json, print_read, progress
from edge_convnext.cli.flags import Overrides
from edge_convnext.cli.options import (
    PREPROCESS,
    ModelArgument,
    RuntimeOption,
    ThreadsOption,
    flags,
    resolve,
)
from edge_convnext.cli.signature import command
from edge_convnext.core.text import printable

if TYPE_CHECKING:
    from edge_convnext.measure.built_models import ModelAccuracy

__all__ = ["evaluate"]


@command
def evaluate(
    *,
    model: ModelArgument,
    data: Annotated[Overrides, flags("data.source", required=True)],
    # Without `image_size`, which the graph fixes.
    reading: Annotated[
        Overrides, flags("data.labels", *PREPROCESS[1:], "data.skip_bad_images", "seed")
    ],
    batch: Annotated[
        int, typer.Option(min=1, max=4096, help="Number of images per inference.")
    ] = 16,
    runtime: RuntimeOption = None,
    threads: ThreadsOption = None,
    terminal: Terminal,
) -> None:
    """Measure a built model's top-1 on the evaluation side of a data set."""
    from edge_convnext.measure.built_models import evaluate_model

    stated = resolve(None, {**data, **reading})
    with progress(terminal.silent) as track:
        result = evaluate_model(
            model, stated.data, stated.seed, batch, runtime, threads, track, stated,
            lambda settings, notes: print_read(settings, notes, terminal.silent),
        )  # fmt: skip
    for told in result.notes:  # with --quiet too: they say that the figure may be wrong
        note(f"warning: {told}", terminal.json)
    if terminal.json:
        print_json(result.to_json())
    else:
        _print(model, result)


def _print(model: Path, result: ModelAccuracy) -> None:
    top5 = "" if result.accuracy.top5_pct is None else f", top-5 {result.accuracy.top5_pct:.2f} %"
    typer.echo(
        f"{model}: top-1 {result.accuracy.top1_pct:.2f} %{top5} on "
        f"{result.accuracy.n_images} images ({result.runtime}; {result.split})"
    )
    for name, one in result.accuracy.per_class.items():
        shown = "-" if one.top1_pct is None else f"{one.top1_pct:.2f} %"
        typer.echo(f"  {printable(name)}: {shown} of {one.n}")

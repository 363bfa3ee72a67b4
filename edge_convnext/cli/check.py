"""`edge-convnext check`: show what weights and data state, before anything is built."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from edge_convnext.cli.console import Terminal, print_json, progress
from edge_convnext.cli.flags import Overrides
from edge_convnext.cli.options import PREPROCESS, RecipeOption, flags, resolve
from edge_convnext.cli.signature import command

if TYPE_CHECKING:
    from edge_convnext.build.check import Checked

__all__ = ["check"]


@command
def check(
    *,
    inputs: Annotated[
        Overrides,
        flags("load.weights", "data.source", "data.calibration", "data.labels", "model"),
    ],
    recipe: RecipeOption = None,
    reading: Annotated[
        Overrides, flags(*PREPROCESS, "data.skip_bad_images", "data.allow_duplicates", "seed")
    ],
    terminal: Terminal,
) -> None:
    """Show what is read from weights and data, the source of each setting, and what looks wrong.

    Weights alone or data alone are enough. Takes seconds and builds nothing. The exit code is 3 if
    a build would refuse them, with the same error line.
    """
    about = {"load.weights", "data.source"} & inputs.keys() or _brings_weights(inputs.get("model"))
    if not (about or recipe or "data.calibration" in inputs):
        raise typer.BadParameter("pass --weights, --data or both", param_hint="check")
    from edge_convnext.build.check import check_inputs
    from edge_convnext.core.cache import Cache, default_cache_folder
    from edge_convnext.core.errors import DataError

    # A calibration set alone does not ask for the demo.
    alone = {} if about or recipe else {"data.source": ""}
    chosen = resolve(recipe, {**inputs, **reading, **alone})
    with progress(terminal.silent) as track:
        checked = check_inputs(chosen, Cache(default_cache_folder(os.environ)), track)
    _print(checked, terminal)
    if checked.refused is not None:
        raise DataError(checked.refused)
    if terminal.json:
        return
    if checked.not_tested:
        typer.echo(f"not tested here: {', '.join(checked.not_tested)}; a build tests them")
    else:
        typer.echo("nothing that a build would refuse")


def _brings_weights(model: object) -> bool:
    """Whether a model has weights of its own, as `hf:FOLDER` has."""
    if model is None:
        return False
    from edge_convnext.networks.spelled import settle_model

    return settle_model(str(model), None).weights is not None


def _print(checked: Checked, terminal: Terminal) -> None:
    from edge_convnext.cli.views.read import read_lines

    if terminal.json:
        print_json(checked.to_json())
        return
    # The model's accuracy is a result, not a note.
    always = (checked.tried,) if checked.tried else ()
    for line in read_lines(checked.settings, always if terminal.quiet else checked.notes):
        typer.echo(line)

"""`edge-convnext predict`: classify image files with a built model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_convnext.cli.console import Terminal, note, print_json, progress
from edge_convnext.cli.options import ModelArgument, RuntimeOption, ThreadsOption
from edge_convnext.cli.signature import command
from edge_convnext.core.text import printable

if TYPE_CHECKING:
    from edge_convnext.measure.model import Prediction, Unanswered

__all__ = ["predict"]


@command
def predict(
    *,
    model: ModelArgument,
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    runtime: RuntimeOption = None,
    threads: ThreadsOption = None,
    terminal: Terminal,
) -> None:
    """Classify image files with a built model.

    A file that can't be classified is named on stderr. The others are classified, and the exit code
    is 3.
    """
    from edge_convnext.measure.model import Prediction, Unanswered, load_model
    from edge_convnext.measure.of_build import tell_changed

    if changed := tell_changed(model):
        note(f"warning: {changed}")
    with progress(terminal.silent) as track:
        found = list(load_model(model, runtime, threads).answer(images, track=track))
    answers = [one for one in found if isinstance(one, Prediction)]
    failed = [one for one in found if isinstance(one, Unanswered)]
    if terminal.json:
        print_json([_to_json(one) for one in found])
    else:
        for one in answers:
            name, label = printable(str(one.path)), printable(one.label)
            typer.echo(f"{name}\t{label}\t{100 * one.probability:.1f} %")
    for bad in failed:
        note(f"error: {bad.error}")
    if failed:
        raise typer.Exit(3)


def _to_json(one: Prediction | Unanswered) -> dict[str, Any]:
    """One image's answer, or the reason why it has none."""
    path = str(one.path)
    if hasattr(one, "error"):
        return {"path": path, "error": str(one.error)}
    return {"path": path, "label": one.label, "top": [list(pair) for pair in one.top]}

"""`edge-convnext train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_convnext.cli.console import Terminal, note, print_json, print_read, progress
from edge_convnext.cli.flags import Overrides
from edge_convnext.cli.options import PREPROCESS, RecipeOption, flags, resolve
from edge_convnext.cli.signature import command

if TYPE_CHECKING:
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.data.splits import Splits
    from edge_convnext.networks.training.train import TrainResult

__all__ = ["train"]


@dataclass(frozen=True)
class Run:
    """The flags of a run: its device, and whether it resumes."""

    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Device to train on.")] = (
        "auto"
    )
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from a killed run's last epoch.")
    ] = True


@command
def train(
    *,
    data: Annotated[Overrides, flags("data.source", required=True)],
    out: Annotated[Path, typer.Option(help="The checkpoint to write, .safetensors.")],
    model: Annotated[Overrides, flags("model")],
    recipe: RecipeOption = None,
    # A recipe's own `train.image_size` would take precedence over `preprocess.image_size`.
    schedule: Annotated[
        Overrides,
        flags(
            "train.image_size",
            *PREPROCESS[1:],
            "train.epochs",
            "train.batch",
            "train.lr",
            "train.bfloat16",
        ),
    ],
    init: Annotated[
        Path | None,
        typer.Option(help="Checkpoint to start from. It gets a new classifier where it needs one."),
    ] = None,
    reading: Annotated[
        Overrides,
        flags("data.labels", "data.skip_bad_images", "data.allow_duplicates", "seed"),
    ],
    run: Run,
    terminal: Terminal,
) -> None:
    """Train a checkpoint for `build` from a folder of images."""
    chosen = resolve(recipe, {**data, **model, **schedule, **reading})
    replaced = (f"{out} exists: it is replaced when the training ends.",) if out.exists() else ()
    splits, result = _train(chosen, out, init, run, terminal.silent, replaced)
    if terminal.json:
        print_json(
            {"path": str(out), "top1_pct": result.top1_pct, "epochs": result.epochs,
             "seconds": result.seconds, "data": splits.note,
             "notes": [*replaced, *splits.notes, *result.notes]}
        )  # fmt: skip
        return
    for told in (f"how the data is split: {splits.note}", *result.notes):
        note(told, terminal.quiet)
    typer.echo(
        f"{out}: top-1 {result.top1_pct:.2f} % on {len(splits.val)} validation images, of the "
        "averaged weights after the last epoch"
    )


def _train(
    recipe: Recipe,
    out: Path,
    init: Path | None,
    run: Run,
    silent: bool,
    notes: tuple[str, ...],
) -> tuple[Splits, TrainResult]:
    """Read the images, show what was read, and train with a line for each epoch."""
    from edge_convnext.build.training_inputs import prepare_training, training_settings
    from edge_convnext.networks.training.train import train as run_training

    with progress(silent) as track:
        splits, preprocess = prepare_training(recipe, track, out)
        if not silent:
            settings, told = training_settings(recipe, splits, preprocess)
            print_read(settings, (*notes, *told), silent)
        result = run_training(
            recipe.model,
            splits,
            preprocess,
            recipe.train,
            out,
            seed=recipe.seed,
            init=init,
            resume=run.resume,
            device=run.device,
            track=track,
            on_epoch=lambda row: note(
                f"epoch {row.epoch}: loss {row.loss:.4f}, top-1 {row.top1_pct:.2f} %, "
                f"{row.seconds:.1f} s",
                silent,
            ),
        )
    return splits, result

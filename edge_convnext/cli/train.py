"""`edge-convnext train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from edge_convnext.cli.console import (
    AllowDuplicatesFlag,
    CropPctOption,
    DataOption,
    ImageSizeOption,
    InterpolationOption,
    JsonFlag,
    LabelsOption,
    MeanOption,
    QuietFlag,
    ResizeOption,
    SkipBadFlag,
    StdOption,
    VerboseFlag,
    data_source,
    note,
    preprocess_fields,
    print_json,
    print_read,
    progress,
    resolve,
)

__all__ = ["train"]


def train(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="The checkpoint to write, .safetensors.")],
    model: Annotated[
        str | None, typer.Option(help="atto (the default), femto, pico, … or a full name.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Settings for what the other options leave out.")
    ] = None,
    image_size: ImageSizeOption = None,
    resize: ResizeOption = None,
    crop_pct: CropPctOption = None,
    interpolation: InterpolationOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images per step.")] = None,
    lr: Annotated[float | None, typer.Option(min=0, help="Peak learning rate.")] = None,
    init: Annotated[
        Path | None, typer.Option(help="Start from this checkpoint; a new head if need be.")
    ] = None,
    labels: LabelsOption = None,
    skip_bad_images: SkipBadFlag = None,
    allow_duplicates: AllowDuplicatesFlag = None,
    seed: Annotated[
        int | None, typer.Option(help="Of splits, weights, order and augmentation.")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where to train.")
    ] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from a killed run's last epoch.")
    ] = True,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Train a checkpoint that `build` takes as it is, from a folder of images."""
    overrides: dict[str, Any] = {
        "model": model,
        "seed": seed,
        "data.source": data_source(data),
        "data.labels": str(labels) if labels else None,
        "data.skip_bad_images": skip_bad_images,
        "data.allow_duplicates": allow_duplicates,
        **preprocess_fields(image_size, resize, crop_pct, interpolation, mean, std),
        "train.image_size": image_size,  # a recipe's own would win over the line above
        "train.epochs": epochs,
        "train.batch": batch,
        "train.lr": lr,
    }
    stated = {field: value for field, value in overrides.items() if value is not None}
    from edge_convnext.build.inputs import prepare_training, training_settings
    from edge_convnext.networks.training.train import train as run_training

    silent = quiet or json
    chosen = resolve(recipe, stated)
    with progress(silent) as track:
        splits, preprocess = prepare_training(chosen, track, out)
        if not silent:
            print_read(*training_settings(chosen, splits, preprocess), silent)
        result = run_training(
            chosen.model,
            splits,
            preprocess,
            chosen.train,
            out,
            seed=chosen.seed,
            init=init,
            resume=resume,
            device=device,
            track=track,
            on_epoch=lambda row: note(
                f"epoch {row.epoch}: loss {row.loss:.4f}, top-1 {row.top1_pct:.2f} %, "
                f"{row.seconds:.1f} s",
                silent,
            ),
        )
    if json:
        print_json(
            {"path": str(out), "top1_pct": result.top1_pct, "epochs": result.epochs,
             "seconds": result.seconds, "data": splits.note,
             "notes": [*splits.notes, *result.notes]}
        )  # fmt: skip
        return
    for told in (splits.note, *result.notes):
        note(told, quiet)
    typer.echo(f"{out}: top-1 {result.top1_pct:.2f} % on {len(splits.val)} validation images")

"""`edge-convnext check`: what weights and data say of themselves, before anything is built."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_convnext.cli.console import (
    AllowDuplicatesFlag,
    CropPctOption,
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
    preprocess_fields,
    print_json,
    progress,
    resolve,
)

__all__ = ["check"]


def check(
    weights: Annotated[
        str | None, typer.Option(help="As of build: a file, a folder, in1k.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Class-per-folder directory, or CSV.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Calibration images: a folder or CSV.")
    ] = None,
    labels: LabelsOption = None,
    model: Annotated[str | None, typer.Option(help="atto, femto, pico, … or a full name.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="A shipped recipe's name, or a YAML file.")
    ] = None,
    image_size: ImageSizeOption = None,
    resize: ResizeOption = None,
    crop_pct: CropPctOption = None,
    interpolation: InterpolationOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    skip_bad_images: SkipBadFlag = None,
    allow_duplicates: AllowDuplicatesFlag = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Tell what is read of weights and data, who says so, and what looks wrong.

    Either alone will do. Takes seconds and builds nothing. Exit code 3 where a build would refuse
    them, with the same line.
    """
    overrides: dict[str, Any] = {
        "model": model,
        "load.weights": weights,
        "data.source": data_source(data) if data else None,
        "data.calibration": str(calibration) if calibration else None,
        "data.labels": str(labels) if labels else None,
        "data.skip_bad_images": skip_bad_images,
        "data.allow_duplicates": allow_duplicates,
        **preprocess_fields(image_size, resize, crop_pct, interpolation, mean, std),
    }
    if not (weights or data or calibration or recipe):
        raise typer.BadParameter("pass --weights, --data or both", param_hint="check")
    from edge_convnext.build.check import check_inputs
    from edge_convnext.cli.views.read import read_lines
    from edge_convnext.core.cache import Cache, default_cache_folder
    from edge_convnext.core.errors import DataError

    stated = {field: value for field, value in overrides.items() if value is not None}
    # A calibration set alone is no demo.
    chosen = resolve(recipe, stated if weights or data or recipe else {**stated, "data.source": ""})
    with progress(quiet or json) as track:
        checked = check_inputs(chosen, Cache(default_cache_folder(os.environ)), track)
    if json:
        print_json(checked.to_json())
    else:
        for line in read_lines(checked.settings, checked.notes):
            typer.echo(line)
    if checked.refused is not None:
        raise DataError(checked.refused)
    if json:
        return
    if checked.not_tested:
        typer.echo(f"not tested here: {', '.join(checked.not_tested)}; a build tests them")
    else:
        typer.echo("nothing that a build would refuse")

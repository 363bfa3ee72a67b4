"""`edge-convnext tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from edge_convnext.cli.console import (
    JsonFlag,
    LabelsOption,
    QuietFlag,
    ThreadsOption,
    VerboseFlag,
    data_source,
    print_json,
    progress,
)

__all__ = ["tune"]


def tune(
    recipe: Annotated[
        str | None, typer.Option(help="A shipped recipe's name, or a YAML file.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="atto, femto, pico, … or a full name.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="A .pth, .pt or .safetensors file; in1k; or random.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Input size in pixels.")] = None,
    data: Annotated[Path | None, typer.Option(help="Class-per-folder directory, or CSV.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Calibration images: a folder or CSV.")
    ] = None,
    labels: LabelsOption = None,
    mode: Annotated[
        Literal["quick", "full"],
        typer.Option(
            help="quick: up to 3 minutes for atto on 2 cores; full: every plan, no limit."
        ),
    ] = "quick",
    runtime: Annotated[
        Literal["onnxruntime", "openvino", "auto"] | None,
        typer.Option(help="auto tunes all that are installed."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Batch size to tune for.")] = 1,
    threads: ThreadsOption = None,
    max_drop: Annotated[
        float | None, typer.Option(help="Top-1 budget in percentage points.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for tuned.yaml and tune.json. Default: tune/MODEL.")
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Find the fastest accurate INT8 graph of each runtime here, by racing them.

    Writes a recipe that builds the winners without a search.
    """
    overrides: dict[str, Any] = {
        "model": model,
        "load.weights": weights,
        "preprocess.image_size": image_size,
        "data.source": data_source(data) if data else None,
        "data.calibration": str(calibration) if calibration else None,
        "data.labels": str(labels) if labels else None,
        "runtime": runtime,
        "benchmark.threads": threads,
        "evaluate.max_drop_pp": max_drop,
    }
    stated = {field: value for field, value in overrides.items() if value is not None}
    from edge_convnext.recipe import resolve_recipe
    from edge_convnext.tune_report import tune_to_files

    chosen = resolve_recipe(recipe, stated)
    folder = out or Path("tune") / chosen.model.removeprefix("convnextv2_")
    with progress(quiet or json) as track:
        result = tune_to_files(chosen, mode, folder, track, batch=batch)
    if json:
        print_json(result.to_json())
        return
    from rich.console import Console

    result.print(Console())
    typer.echo(f"\nBuild the winners: edge-convnext build --recipe {folder / 'tuned.yaml'}")

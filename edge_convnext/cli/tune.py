"""`edge-convnext tune`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge_convnext.cli.console import (
    AllowBadModelFlag,
    CropPctOption,
    ImageSizeOption,
    InterpolationOption,
    JsonFlag,
    LabelsOption,
    MeanOption,
    QuietFlag,
    ResizeOption,
    StdOption,
    ThreadsOption,
    VerboseFlag,
    check_runtime,
    data_source,
    preprocess_fields,
    print_json,
    progress,
    resolve,
)

if TYPE_CHECKING:
    from edge_convnext.build.tuning.gpu_files import GpuTuneReport
    from edge_convnext.build.tuning.report import TuneReport

__all__ = ["tune"]


def tune(
    recipe: Annotated[
        str | None, typer.Option(help="A shipped recipe's name, or a YAML file.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="atto, femto, pico, … or a full name.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="A checkpoint: a file or a folder; in1k; or random.")
    ] = None,
    image_size: ImageSizeOption = None,
    resize: ResizeOption = None,
    crop_pct: CropPctOption = None,
    interpolation: InterpolationOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
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
        str | None,
        typer.Option(
            callback=check_runtime,
            metavar="NAME",
            help="Such as onnxruntime or openvino; auto tunes all that are installed.",
        ),
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option(
            min=1, max=4096, help="Batch size to tune for; several for a GPU. Default: 1."
        ),
    ] = None,
    target: Annotated[
        Literal["cpu", "rtx"],
        typer.Option(help="rtx: plans of an NVIDIA GPU that need not be here, ranked by a model."),
    ] = "cpu",
    device: Annotated[
        str | None,
        typer.Option(help="For rtx, see `edge-convnext targets`. Default: orin-nano-8gb."),
    ] = None,
    compute_capability: Annotated[
        str | None,
        typer.Option(help="For rtx, such as 8.7: the slowest device that has it."),
    ] = None,
    threads: ThreadsOption = None,
    max_drop: Annotated[
        float | None, typer.Option(help="Top-1 budget in percentage points.")
    ] = None,
    allow_bad_model: AllowBadModelFlag = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for tuned.yaml and tune.json. Default: tune/MODEL.")
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Find the fastest accurate INT8 graph of each runtime here, by racing them.

    Writes a recipe that builds the winners without a search. For a GPU, graphs are ranked by a
    model of the kernels they compile to: nothing is timed. The first three have a recipe each,
    and what those build is to be raced on the device.
    """
    overrides: dict[str, Any] = {
        "model": model,
        "load.weights": weights,
        **preprocess_fields(image_size, resize, crop_pct, interpolation, mean, std),
        "data.source": data_source(data) if data else None,
        "data.calibration": str(calibration) if calibration else None,
        "data.labels": str(labels) if labels else None,
        "runtime": runtime,
        "benchmark.threads": threads,
        "evaluate.max_drop_pp": max_drop,
        "evaluate.allow_bad_model": allow_bad_model,
    }
    stated = {field: value for field, value in overrides.items() if value is not None}
    from edge_convnext.build.tuning.files import check_tune_folder
    from edge_convnext.networks.family import family_of_model

    batches = batch or [1]
    _refuse_mixed(target, batches, device or compute_capability, runtime)
    chosen = resolve(recipe, stated)
    folder = out or Path("tune") / family_of_model(chosen.model).short_name(chosen.model)
    check_tune_folder(folder)
    from edge_convnext.build.tuning.report import TuneReport, tune_to_files

    result: TuneReport | GpuTuneReport
    if target == "rtx":
        from edge_convnext.build.tuning.cost_model import find_model_gpu
        from edge_convnext.build.tuning.gpu_files import tune_gpu_to_files

        gpu = find_model_gpu(device, compute_capability)
        with progress(quiet or json) as track:
            result = tune_gpu_to_files(chosen, gpu, batches, folder, track, every=mode == "full")
    else:
        with progress(quiet or json) as track:
            result = tune_to_files(chosen, mode, folder, track, batch=batches[0])
    if json:
        print_json(result.to_json())
        return
    from rich.console import Console

    from edge_convnext.cli.views.tuning import print_gpu_tuning, print_tuning

    console = Console()
    if isinstance(result, TuneReport):
        print_tuning(result, console)
    else:
        print_gpu_tuning(result, console)
    _print_next(folder, getattr(result, "recipes", ()))


def _print_next(folder: Path, recipes: Sequence[str]) -> None:
    """The commands that build what was found."""
    line = "edge-convnext build --recipe"
    if not recipes:
        typer.echo(f"\nBuild the winners: {line} {folder / 'tuned.yaml'}")
        return
    from edge_convnext.build.tuning.gpu_files import candidate_out

    typer.echo("\nBuild the candidates, one recipe each:")
    for name in recipes:
        typer.echo(f"  {line} {folder / name} --out {candidate_out(folder, name)}")
    typer.echo(
        "Then race them on the device: `edge-convnext bench` with the engines of all of them."
    )


def _refuse_mixed(
    target: str, batches: Sequence[int], gpu: str | None, runtime: str | None
) -> None:
    """Refuse flags of the other target."""
    from edge_convnext.core.errors import RecipeError

    if target == "rtx" and runtime is not None:
        raise RecipeError("--runtime is of the target cpu: leave it out with --target rtx")
    if target == "cpu" and gpu is not None:
        raise RecipeError(
            "--device and --compute-capability are of a GPU: add --target rtx, or leave them out"
        )
    if target == "cpu" and len(batches) > 1:
        raise RecipeError("tune races one batch size on the CPU: pass one --batch")

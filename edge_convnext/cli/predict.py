"""`edge-convnext eval` and `predict`: what a built model answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_convnext.cli.console import (
    CropPctOption,
    DataOption,
    InterpolationOption,
    JsonFlag,
    LabelsOption,
    MeanOption,
    QuietFlag,
    ResizeOption,
    RuntimeOption,
    SkipBadFlag,
    StdOption,
    ThreadsOption,
    VerboseFlag,
    note,
    preprocess_fields,
    print_json,
    print_read,
    progress,
    resolve,
)
from edge_convnext.core.text import printable

if TYPE_CHECKING:
    from edge_convnext.measure.model import Prediction, Unanswered

__all__ = ["evaluate", "predict"]


def predict(
    model: Annotated[Path, typer.Argument(help="A built .onnx model, or an .engine.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    runtime: RuntimeOption = None,
    threads: ThreadsOption = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Classify image files with a built model.

    A file that can't be is told on stderr; the others are answered, and the exit code is 3.
    """
    from edge_convnext.measure.model import Prediction, Unanswered, load_model
    from edge_convnext.measure.of_build import tell_changed

    if changed := tell_changed(model):
        note(f"warning: {changed}")
    with progress(quiet or json) as track:
        found = list(load_model(model, runtime, threads).answer(images, track=track))
    answers = [one for one in found if isinstance(one, Prediction)]
    failed = [one for one in found if isinstance(one, Unanswered)]
    if json:
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


def evaluate(
    model: Annotated[Path, typer.Argument(help="A built .onnx model, or an .engine.")],
    data: DataOption,
    labels: LabelsOption = None,
    resize: ResizeOption = None,
    crop_pct: CropPctOption = None,
    interpolation: InterpolationOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    skip_bad_images: SkipBadFlag = None,
    seed: Annotated[int, typer.Option(help="Of the split of an unsplit source.")] = 0,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="Images per inference.")] = 16,
    runtime: RuntimeOption = None,
    threads: ThreadsOption = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Measure a built model's top-1 on the evaluation side of a data set."""
    from edge_convnext.measure.built_models import evaluate_model

    silent = quiet or json
    overrides: dict[str, Any] = {
        "data.source": str(data),
        "data.labels": str(labels) if labels else None,
        "data.skip_bad_images": skip_bad_images,
        **preprocess_fields(None, resize, crop_pct, interpolation, mean, std),
    }
    stated = resolve(None, {name: one for name, one in overrides.items() if one is not None})
    with progress(silent) as track:
        result = evaluate_model(
            model, stated.data, seed, batch, runtime, threads, track, stated,
            lambda settings, notes: print_read(settings, notes, silent),
        )  # fmt: skip
    for told in result.notes:  # even under --quiet: the figure is no figure of this model
        note(f"warning: {told}", json)
    if json:
        print_json(result.to_json())
        return
    top5 = "" if result.accuracy.top5_pct is None else f", top-5 {result.accuracy.top5_pct:.2f} %"
    typer.echo(
        f"{model}: top-1 {result.accuracy.top1_pct:.2f} %{top5} on "
        f"{result.accuracy.n_images} images ({result.runtime}; {result.split})"
    )
    for name, one in result.accuracy.per_class.items():
        shown = "-" if one.top1_pct is None else f"{one.top1_pct:.2f} %"
        typer.echo(f"  {printable(name)}: {shown} of {one.n}")

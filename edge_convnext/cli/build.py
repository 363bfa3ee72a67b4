"""`edge-convnext build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge_convnext.cli.console import (
    CropPctOption,
    ImageSizeOption,
    InterpolationOption,
    JsonFlag,
    MeanOption,
    QuietFlag,
    ResizeOption,
    StdOption,
    VerboseFlag,
    check_runtime,
    data_source,
    note,
    preprocess_fields,
    print_json,
    progress,
    require_one,
    resolve,
    show_read,
)
from edge_convnext.cli.hosts import (
    REMOTE_COMMAND,
    HostOption,
    KeepFlag,
    RemoteCommandOption,
    SshOption,
    measure_build,
    remote_settings,
    require_host,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.core.recipe import Recipe
    from edge_convnext.report.contract import Report
    from edge_convnext.report.verdict import Requirement

__all__ = ["build"]


_TARGETS = ("cpu", "rtx", "tensorrt")  # a list, which Typer does not take of `Literal`
_MODEL = "Model"
_DATA = "Data"
_CHAIN = "Chain"
_GPU = "GPU"
_MEASURE = "Measurement"


def _check_targets(targets: list[str] | None) -> list[str] | None:
    for one in targets or ():
        if one not in _TARGETS:
            raise typer.BadParameter(f"{one!r} is not one of {', '.join(map(repr, _TARGETS))}.")
    return targets


def build(
    recipe: Annotated[
        str | None, typer.Option(help="A shipped recipe's name, or a YAML file.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="atto, femto, pico, … or a full name.", rich_help_panel=_MODEL),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint: a file or a folder; in1k; or random.", rich_help_panel=_MODEL
        ),
    ] = None,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"] | None,
        typer.Option(help="What to build.", rich_help_panel=_MODEL),
    ] = None,
    image_size: ImageSizeOption = None,
    resize: ResizeOption = None,
    crop_pct: CropPctOption = None,
    interpolation: InterpolationOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Class-per-folder directory, or CSV.", rich_help_panel=_DATA),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Calibration images: a folder or CSV. Default: drawn from the training side.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="One class name a line, in logit order.", rich_help_panel=_DATA),
    ] = None,
    calibration_size: Annotated[
        int | None, typer.Option(help="Calibration images.", rich_help_panel=_DATA)
    ] = None,
    skip_bad_images: Annotated[
        bool | None,
        typer.Option(
            "--skip-bad-images",
            help="Leave unreadable images out and count them.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    allow_duplicates: Annotated[
        bool | None,
        typer.Option(
            "--allow-duplicates",
            help="Go on where over 1 % of the evaluation images are training images too.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar=f"[{'|'.join(_TARGETS)}]",
            callback=_check_targets,
            help="Repeatable. Default: all that can be done here.",
            rich_help_panel=_CHAIN,
        ),
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            callback=check_runtime,
            metavar="NAME",
            help="Of the cpu target: onnxruntime, openvino, …; auto measures all installed ones.",
            rich_help_panel=_CHAIN,
        ),
    ] = None,
    fold: Annotated[
        bool | None,
        typer.Option("--fold/--no-fold", help="Fold norms exactly.", rich_help_panel=_CHAIN),
    ] = None,
    simplify: Annotated[
        bool | None,
        typer.Option("--simplify/--no-simplify", help="Run onnxsim.", rich_help_panel=_CHAIN),
    ] = None,
    opset: Annotated[
        int | None, typer.Option(help="ONNX opset, 18 or later.", rich_help_panel=_CHAIN)
    ] = None,
    export_batch: Annotated[
        str | None, typer.Option(help="dynamic, or a fixed size.", rich_help_panel=_CHAIN)
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Graph form: raw, linear, conv, …; auto: the best per runtime.",
            rich_help_panel=_CHAIN,
        ),
    ] = None,
    gelu: Annotated[
        Literal["erf", "tanh", "auto"] | None,
        typer.Option(
            help="erf: exact; tanh: the approximation; auto: the best per runtime.",
            rich_help_panel=_CHAIN,
        ),
    ] = None,
    placement: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Where Q/DQ goes: inner, pointwise, …; auto: the best per runtime.",
            rich_help_panel=_CHAIN,
        ),
    ] = None,
    engine_batch: Annotated[
        list[int] | None,
        typer.Option(
            help="Batch size of graphs and engines for TensorRT; repeatable. Default: 1 and 8; "
            "without --target, 1.",
            rich_help_panel=_GPU,
        ),
    ] = None,
    images: Annotated[
        Literal["float32", "float16", "uint8"] | None,
        typer.Option(
            "--input",
            help="Images that these graphs take; uint8: pixels, normalised in the graph. "
            "Default: float16.",
            rich_help_panel=_GPU,
        ),
    ] = None,
    compute_capability: Annotated[
        list[str] | None,
        typer.Option(
            help="Of the engine's GPUs, such as 8.9; repeatable. Default: 8.6, 8.9 and 12.0.",
            rich_help_panel=_GPU,
        ),
    ] = None,
    recover: Annotated[
        bool | None,
        typer.Option(
            "--recover/--no-recover",
            help="Fine-tune the INT8 graphs for some minutes, taught by the float ones.",
            rich_help_panel=_CHAIN,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of splits and draws.", rich_help_panel=_CHAIN)
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option(help="Batch size to time; repeatable.", rich_help_panel=_MEASURE),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads. Default: all.", rich_help_panel=_MEASURE)
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(help="Interleaved rounds.", rich_help_panel=_MEASURE)
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(help="Top-1 budget in percentage points.", rich_help_panel=_MEASURE),
    ] = None,
    allow_bad_model: Annotated[
        bool | None,
        typer.Option(
            "--allow-bad-model",
            help="Go on with a float model that is no better than guessing.",
            rich_help_panel=_MEASURE,
        ),
    ] = None,
    max_class_drop: Annotated[
        float | None,
        typer.Option(
            help="Budget of every class. Default: classes past --max-drop are named.",
            rich_help_panel=_MEASURE,
        ),
    ] = None,
    wait_quiet: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES",
            help="Wait at most so long for a quiet machine, or time again after a busy race.",
            rich_help_panel=_MEASURE,
        ),
    ] = None,
    tune: Annotated[
        Literal["off", "quick", "full"],
        typer.Option(
            help="Search the plans here first; off: the shipped ones.", rich_help_panel=_CHAIN
        ),
    ] = "off",
    require: Annotated[
        Literal["fp32", "fp16", "int8"] | None,
        typer.Option(
            help="Exit 1 unless the verdict is to ship this precision, shown.",
            rich_help_panel=_MEASURE,
        ),
    ] = None,
    require_likely: Annotated[
        Literal["fp32", "fp16", "int8"] | None,
        typer.Option(
            help="The same, where the estimates are enough: shown or likely.",
            rich_help_panel=_MEASURE,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Default: build/<model>-<precision>/.")] = None,
    host: HostOption = None,
    ssh_option: SshOption = None,
    remote_command: RemoteCommandOption = REMOTE_COMMAND,
    keep: KeepFlag = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Build a measured model: checkpoint to ONNX, INT8, engine, accuracy, latency, verdict.

    Without a recipe, weights and data, a demo model is trained on bundled digits.
    """
    overrides: dict[str, Any] = {
        "model": model,
        "precision": precision,
        "targets": target or None,
        "runtime": runtime,
        "seed": seed,
        "load.weights": weights,
        "data.source": data_source(data) if data else None,
        "data.calibration": str(calibration) if calibration else None,
        "data.labels": str(labels) if labels else None,
        "data.skip_bad_images": skip_bad_images,
        "data.allow_duplicates": allow_duplicates,
        **preprocess_fields(image_size, resize, crop_pct, interpolation, mean, std),
        "fold.enabled": fold,
        "export.opset": opset,
        "export.batch": _batch(export_batch),
        "export.form": form,
        "export.gelu": gelu,
        "simplify.enabled": simplify,
        "quantize.subset_size": calibration_size,
        "quantize.placement": placement,
        "engine.batches": engine_batch,
        "engine.input": images,
        "engine.compute_capabilities": compute_capability,
        "recover.enabled": recover,
        "evaluate.max_drop_pp": max_drop,
        "evaluate.allow_bad_model": allow_bad_model,
        "evaluate.max_class_drop_pp": max_class_drop,
        "benchmark.batches": batch,
        "benchmark.threads": threads,
        "benchmark.rounds": rounds,
        "benchmark.wait_quiet_min": wait_quiet,
    }
    stated = {field: value for field, value in overrides.items() if value is not None}
    require_host(host, ssh_option, remote_command, keep)
    require_one(require, require_likely)
    from edge_convnext.build import pipeline

    chosen = resolve(recipe, stated)
    _warn_of_engines(chosen, quiet or json)
    silent = quiet or json
    errors: list[str] = []
    requirement = (("--require", require), ("--require-likely", require_likely))
    words = [word for flag, value in requirement if value for word in (flag, value)]
    remote = remote_settings(ssh_option, remote_command, keep, words)
    if host:
        from edge_convnext.devices.ssh import check_hosts

        check_hosts(host, remote)  # now, and not after a build of minutes
    if pipeline.is_demo(chosen):
        note(pipeline.DEMO_BANNER, silent)
    told = show_read(silent)
    with progress(silent) as track:
        if tune != "off":
            from edge_convnext.build.tuning.tune import search_plans

            chosen = search_plans(chosen, tune, track, told)
        report = pipeline.build(
            chosen, out, require=require, require_likely=require_likely, track=track, on_read=told
        )
    if host:
        report, errors = measure_build(report, host, remote, silent)
    elif chosen.targets != "auto":
        from edge_convnext.report.verdict import Requirement

        asked = Requirement.of(require, require_likely)
        report, errors = _measure_here(report, chosen.targets, asked, silent)
    if json:
        print_json(report.model_dump(mode="json", by_alias=True))
    else:
        from rich.console import Console

        from edge_convnext.cli.views.report import print_report

        print_report(report, Console())
    for error in errors:
        note(f"error: {error}")
    if errors:
        raise typer.Exit(3)
    verdicts = [run.verdict for run in report.boards]
    if report.verdict.ship != "undecided" or not verdicts:  # else the boards decided
        verdicts.append(report.verdict)
    if not all(one.passed for one in verdicts):
        raise typer.Exit(1)


def _warn_of_engines(recipe: Recipe, silent: bool) -> None:
    """Say before the build what would keep its engines from being measured after it."""
    if {"rtx", "tensorrt"} & {*recipe.targets}:
        from edge_convnext.devices.bench.builders import why_no_engines

        if reason := why_no_engines():
            note(f"no engine will be measured here: {reason}", silent)


def _measure_here(
    report: Report, targets: Sequence[str], require: Requirement | None, silent: bool
) -> tuple[Report, list[str]]:
    """Where this machine has the GPU, its engines are built, raced and evaluated at once.

    A failure there is told beside the finished build's report.
    """
    from edge_convnext.core.errors import EdgeConvNextError
    from edge_convnext.devices.bench.here import builders_for, measure_here

    builders, reason = builders_for(targets)
    if reason is not None:
        note(f"{'not every' if builders else 'no'} engine is measured here: {reason}", silent)
    if not builders:
        return report, []
    try:
        with progress(silent) as track:
            return measure_here(
                report, builders, require, track, lambda text: note(text, silent)
            ), []
    except EdgeConvNextError as error:
        return report, [str(error)]


def _batch(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdigit() else text

"""`edge-convnext deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_convnext.cli.console import JsonFlag, VerboseFlag, note, print_json
from edge_convnext.cli.values import as_folder

__all__ = ["deploy"]


def deploy(
    build: Annotated[
        Path, typer.Argument(help="Folder of a build, or its report.json.", callback=as_folder)
    ],
    format: Annotated[
        Literal["python", "cpp", "triton", "deepstream", "litert"],
        typer.Option(
            help="Kind of output: a Python script or a C++ program that needs only TensorRT, a "
            "Triton model repository, what DeepStream's nvinfer needs, or a Python script and "
            "Android's assets that need only LiteRT."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make for it.")],
    model: Annotated[
        Path | None,
        typer.Option(
            help="Engine, .onnx or .tflite file to deploy. Default: the verdict's choice."
        ),
    ] = None,
    max_batch: Annotated[
        int,
        typer.Option(
            min=1, help="Largest batch for Triton or DeepStream, if the model's is dynamic."
        ),
    ] = 8,
    queue_delay_us: Annotated[
        int,
        typer.Option(min=0, help="Longest wait of Triton for a batch to fill, in microseconds."),
    ] = 100,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Write what runs a build without this package: Python, C++, Triton, DeepStream or LiteRT."""
    from edge_convnext.core.text import printable
    from edge_convnext.devices.deploy.deepstream import tell_scaling
    from edge_convnext.devices.deploy.facts import read_deployable
    from edge_convnext.devices.deploy.write import choose_for, write_deployment

    choice = choose_for(format, build, model)
    chosen = read_deployable(choice.path, build)
    if choice.warning:
        note(f"warning: {build}: {choice.warning}", json)
    if format == "deepstream":
        note(tell_scaling(chosen.info.preprocess), json)
    files = write_deployment(
        build, format, out, chosen, max_batch=max_batch, queue_delay_us=queue_delay_us
    )
    if json:
        names = [path.as_posix() for path in files]
        what = {"model": str(choice.path), "is": chosen.label, "why": choice.why}
        if choice.warning:
            what["warning"] = choice.warning
        print_json({"folder": str(out), **what, "files": names})
        return
    typer.echo(printable(f"{choice.path} ({chosen.label}): {choice.why}"))
    for path in files:
        typer.echo(out / path)

"""`edge-convnext engine`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_convnext.cli.console import JsonFlag, QuietFlag, VerboseFlag, note, print_json

__all__ = ["engine"]


def engine(
    model: Annotated[Path, typer.Argument(help="A built .onnx model for TensorRT.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: beside the model, .engine.")
    ] = None,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"] | None,
        typer.Option(help="Default: the graph's own. fp16 of an fp32 graph: TensorRT 8.6 only."),
    ] = None,
    timing_cache: Annotated[
        Path | None, typer.Option(help="A file to take kernel timings from and add them to.")
    ] = None,
    workspace_mb: Annotated[
        int | None, typer.Option(min=1, help="Scratch memory in MiB. Default: all there is.")
    ] = None,
    optimization_level: Annotated[
        int | None, typer.Option(min=0, max=5, help="How long to search. TensorRT's own is 3.")
    ] = None,
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="Later TensorRT shall run it too.")
    ] = False,
    hardware_compatible: Annotated[
        bool,
        typer.Option("--hardware-compatible", help="All GPUs from Ampere on shall run it too."),
    ] = False,
    max_batch: Annotated[
        int, typer.Option(min=1, help="Largest batch, where the graph's is dynamic.")
    ] = 8,
    opt_batch: Annotated[int, typer.Option(min=1, help="Batch to tune for, likewise.")] = 1,
    timeout_s: Annotated[float, typer.Option(min=1, help="Give up after so long.")] = 1800,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Build an engine with this machine's TensorRT, for this machine's GPU.

    TensorRT times kernels while it builds: build where the engine will run, in the power mode it
    will run in. A JSON file beside it says what it is for.
    """
    from dataclasses import asdict

    from edge_convnext.runtimes.tensorrt import TensorRtConfig, build_engine

    target = output or model.with_suffix(".engine")
    config = TensorRtConfig(
        workspace_mib=workspace_mb,
        timing_cache=timing_cache,
        optimization_level=optimization_level,
        version_compatible=version_compatible,
        hardware_compatible=hardware_compatible,
        opt_batch=opt_batch,
        max_batch=max_batch,
        timeout_s=timeout_s,
    )
    built = build_engine(model, target, config, precision, lambda text: note(text, quiet or json))
    if json:
        print_json({**asdict(built), "path": str(built.path)})
        return
    typer.echo(
        f"{built.path}: {built.precision}, {built.path.stat().st_size / 1e6:.1f} MB, "
        f"{built.builder}, built in {built.build_seconds:.0f} s"
    )

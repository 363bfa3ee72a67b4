"""`edge-convnext engine`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_convnext.cli.completion import complete_words
from edge_convnext.cli.console import Terminal, note, print_json
from edge_convnext.cli.habits import PRECISION_METAVAR, read_precision
from edge_convnext.cli.signature import command
from edge_convnext.cli.values import PRECISIONS, Precision

if TYPE_CHECKING:
    from edge_convnext.runtimes.tensorrt import TensorRtConfig

__all__ = ["engine"]


@dataclass(frozen=True)
class Building:
    """The flags that TensorRT builds with."""

    timing_cache: Annotated[
        Path | None, typer.Option(help="File of kernel timings to read and to add to.")
    ] = None
    workspace_mb: Annotated[
        int | None, typer.Option(min=1, help="Scratch memory in MiB. Default: all there is.")
    ] = None
    optimization_level: Annotated[
        int | None,
        typer.Option(min=0, max=5, help="Effort of TensorRT's search. Its own default is 3."),
    ] = None
    version_compatible: Annotated[
        bool,
        typer.Option("--version-compatible", help="Build for later versions of TensorRT too."),
    ] = False
    hardware_compatible: Annotated[
        bool,
        typer.Option("--hardware-compatible", help="Build for all GPUs from Ampere on."),
    ] = False
    max_batch: Annotated[
        int, typer.Option(min=1, help="Largest batch, if the graph's is dynamic.")
    ] = 8
    opt_batch: Annotated[
        int, typer.Option(min=1, help="Batch to tune for, if the graph's is dynamic.")
    ] = 1
    timeout_s: Annotated[
        float, typer.Option(min=1, help="Seconds after which the build is given up.")
    ] = 1800

    def config(self) -> TensorRtConfig:
        """The flags as the library's configuration."""
        from edge_convnext.runtimes.tensorrt import TensorRtConfig

        return TensorRtConfig(
            workspace_mib=self.workspace_mb,
            timing_cache=self.timing_cache,
            optimization_level=self.optimization_level,
            version_compatible=self.version_compatible,
            hardware_compatible=self.hardware_compatible,
            opt_batch=self.opt_batch,
            max_batch=self.max_batch,
            timeout_s=self.timeout_s,
        )


@command
def engine(
    *,
    model: Annotated[Path, typer.Argument(help="A built .onnx model for TensorRT.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File of the engine. Default: next to the model, with .engine."
        ),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(
            parser=read_precision,
            metavar=PRECISION_METAVAR,
            autocompletion=complete_words(*PRECISIONS),
            help="Precision to build. Default: the graph's own. fp16 of an fp32 graph: TensorRT "
            "8.6 only.",
        ),
    ] = None,
    building: Building,
    terminal: Terminal,
) -> None:
    """Build an engine with this machine's TensorRT, for this machine's GPU.

    TensorRT times kernels while it builds. So build on the machine that the engine will run on, and
    in the same power mode. A JSON file next to the engine states what it is for.
    """
    from edge_convnext.build.apart import require_apart
    from edge_convnext.runtimes.tensorrt import build_engine

    target = output or model.with_suffix(".engine")
    require_apart([target], [model], make_folder=True)
    built = build_engine(
        model, target, building.config(), precision, lambda text: note(text, terminal.silent)
    )
    if terminal.json:
        print_json({**asdict(built), "path": str(built.path)})
        return
    typer.echo(
        f"{built.path}: {built.precision}, {built.path.stat().st_size / 1e6:.1f} MB, "
        f"{built.builder}, built in {built.build_seconds:.0f} s"
    )

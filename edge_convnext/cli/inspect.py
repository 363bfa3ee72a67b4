"""`edge-convnext inspect`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json

__all__ = ["inspect"]


def inspect(
    engine: Annotated[Path, typer.Argument(help="An engine, or the JSON file beside it.")],
    kernels: Annotated[
        bool, typer.Option("--kernels", help="List every kernel, in the order of launch.")
    ] = False,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Show the kernels that an engine launches and the bytes it moves, by part of the block.

    The table was read from the builder's log when the engine was built; no GPU is needed.
    """
    from edge_convnext.core.errors import ArtifactError
    from edge_convnext.devices.deploy.provenance import require_whole_engine
    from edge_convnext.runtimes.tensorrt.kernel_table import (
        group_kernels,
        kernel_fields,
        read_kernels,
        read_parts,
    )
    from edge_convnext.runtimes.tensorrt.sidecar import ENGINE_SUFFIX, is_engine_file, sidecar_path

    sidecar = engine if engine.suffix == ".json" else sidecar_path(engine)
    if not is_engine_file(sidecar.with_suffix("")):
        raise ArtifactError(
            f"{engine}: inspect takes an engine (*{ENGINE_SUFFIX}), or the JSON file beside it; "
            "`edge-convnext build --target rtx` makes engines"
        )
    found = read_kernels(sidecar)
    described = sidecar.with_suffix("")
    if engine is not sidecar or described.is_file():
        require_whole_engine(described)
    parts = read_parts(sidecar)
    groups = group_kernels(found, parts)
    if json:
        rows = [kernel_fields(kernel, parts) for kernel in found]
        print_json({"groups": [asdict(group) for group in groups], "kernels": rows})
        return
    from rich.console import Console

    from edge_convnext.cli.views.kernels import print_groups, print_kernels

    console = Console()
    if kernels:
        print_kernels(found, parts, console)
    print_groups(groups, sidecar.name, console)

"""`edge-convnext verify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json

__all__ = ["verify"]


def verify(
    folder: Annotated[Path, typer.Argument(help="That a build wrote.")],
    same_as: Annotated[
        Path | None,
        typer.Option(help="Another build: which files are the same, byte for byte?"),
    ] = None,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Hash every file of a build again and compare with its manifest.json.

    A changed or missing file is an error (exit code 3). With --same-as, a file that differs though
    it need not gives 1: timings and engines can't be the same twice.
    """
    from edge_convnext.errors import ArtifactError
    from edge_convnext.manifest import compare_builds, verify_build

    checks = verify_build(folder)
    comparisons = compare_builds(folder, same_as) if same_as else ()
    if json:
        fields = {"files": [asdict(one) for one in checks]}
        if same_as:
            fields["comparison"] = [asdict(one) for one in comparisons]
        print_json(fields)
    elif same_as:
        for one in comparisons:
            typer.echo(f"{one.state:<10} {one.path}{f': {one.reason}' if one.reason else ''}")
    else:
        for check in checks:
            typer.echo(f"{check.state:<10} {check.path}")
    broken = [check for check in checks if check.state != "unchanged"]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise ArtifactError(
            f"{folder / broken[0].path}: {broken[0].state} since the build{more}; build again"
        )
    if any(one.state in ("different", "missing") for one in comparisons):
        raise typer.Exit(1)

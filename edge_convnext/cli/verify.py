"""`edge-convnext verify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_convnext.cli.console import JsonFlag, note, print_json
from edge_convnext.cli.values import as_folder
from edge_convnext.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["verify"]


def verify(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder that a build wrote, or its report.json.", callback=as_folder),
    ],
    same_as: Annotated[
        Path | None,
        typer.Option(help="Folder of another build, to compare byte for byte.", callback=as_folder),
    ] = None,
    json: JsonFlag = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            help="List unchanged files too. On an error, print the traceback.",
        ),
    ] = False,
) -> None:
    """Hash every file of a build again and compare with its manifest.json.

    A changed or missing file is an error (exit code 3). With --same-as, the exit code is 1 if files
    differ that should be equal; timings and engines are never the same twice.
    """
    from edge_convnext.report.manifest import compare_builds, how_to_mend, verify_build

    checks = verify_build(folder)
    comparisons = compare_builds(folder, same_as) if same_as else ()
    if json:
        fields = {"files": [asdict(one) for one in checks]}
        if same_as:
            fields["comparison"] = [asdict(one) for one in comparisons]
        print_json(fields)
    elif same_as:
        lines = [
            (one.state, one.path, one.reason or _absent(one.path, folder, same_as))
            for one in comparisons
        ]
        _print(lines, "identical", verbose)
    else:
        _print([(one.state, one.path, None) for one in checks], "unchanged", verbose)
    broken = [check for check in checks if check.state != "unchanged"]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        mend = how_to_mend(folder, [check.path for check in broken])
        # Not raised: the program found what it was asked to look for, and --verbose lists files.
        first = f"{folder / broken[0].path}: {broken[0].state}"
        note(f"error: {printable(first)} since the build{more}; {mend}")
        raise typer.Exit(3)
    if any(one.state in ("different", "missing") for one in comparisons):
        raise typer.Exit(1)


def _absent(name: str, *folders: Path) -> str | None:
    """Words on the folders in which a file is missing; None if it is in both."""
    gone = [str(folder) for folder in folders if not (folder / name).is_file()]
    return f"not in {' and '.join(gone)}" if gone else None


def _print(lines: Sequence[tuple[str, str, str | None]], usual: str, verbose: bool) -> None:
    """Print the files that differ, or with `verbose` all, and the number of unchanged ones."""
    for state, path, reason in lines:
        if verbose or state != usual:
            typer.echo(printable(f"{state:<10} {path}{f': {reason}' if reason else ''}"))
    count = sum(state == usual for state, _, _ in lines)
    of = "" if count == len(lines) else f" of {len(lines)}"
    typer.echo(f"{count}{of} files {usual}")

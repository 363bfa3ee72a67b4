"""`edge-convnext cache`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json
from edge_convnext.core.cache_folder import default_cache_folder

__all__ = ["cache_app"]

cache_app = typer.Typer(help="The cache of finished stages.", no_args_is_help=True)


@cache_app.command("info")
def cache_info(json: JsonFlag = False, verbose: VerboseFlag = False) -> None:
    """Show where the cache is and what it holds."""
    from edge_convnext.core.cache import Cache

    cache = Cache(default_cache_folder(os.environ))
    usage = cache.usage()
    total = sum(stage.size_bytes for stage in usage)
    if json:
        stages = {
            stage.stage: {"entries": stage.entries, "size_bytes": stage.size_bytes}
            for stage in usage
        }
        print_json({"folder": str(cache.root), "size_bytes": total, "stages": stages})
        return
    typer.echo(str(cache.root))
    for stage in usage:
        typer.echo(_row(stage.stage, stage.entries, stage.size_bytes))
    typer.echo(_row("total", sum(stage.entries for stage in usage), total))


@cache_app.command("prune")
def cache_prune(
    older_than_days: Annotated[
        float,
        typer.Option(
            min=0, help="Age in days of what is removed, since its last use. 0 removes everything."
        ),
    ] = 30.0,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Remove entries that were not used lately, and files that killed runs left."""
    from edge_convnext.core.cache import Cache

    removed, freed = Cache(default_cache_folder(os.environ)).prune(older_than_days)
    if json:
        print_json({"removed": removed, "freed_bytes": freed})
        return
    typer.echo(f"removed {removed} {_entries(removed)}, freed {freed / 1e6:.1f} MB")


def _row(stage: str, count: int, size: int) -> str:
    return f"{stage:10} {count:6} {_entries(count):7} {size / 1e6:10.1f} MB"


def _entries(count: int) -> str:
    return "entry" if count == 1 else "entries"

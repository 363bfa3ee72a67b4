"""`edge-convnext models`, `recipes`, `cache`, `doctor`."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json
from edge_convnext.core.cache import Cache, default_cache_folder

__all__ = ["cache_app", "doctor", "models", "recipes"]

cache_app = typer.Typer(help="The cache of finished stages.", no_args_is_help=True)


def models(
    image_size: Annotated[int, typer.Option(min=32, help="For the MACs, in pixels.")] = 224,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """List the architectures: parameters, MACs, published top-1 and its source."""
    from edge_convnext.networks.family import families, find_model

    rows: list[dict[str, Any]] = []
    for family, name in [(one, name) for one in families() for name in one.models]:
        architecture = find_model(name)
        published = family.published_top1(name)
        rows.append(
            {
                "model": name,
                "params": architecture.count_params(),
                "macs": architecture.count_macs(image_size),
                "published_top1_pct": published.top1_pct if published else None,
                "source": published.source if published else None,
            }
        )
    if json:
        print_json({"image_size": image_size, "num_classes": 1000, "models": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"1000 classes, {image_size} px", box=None)
    for column in ("model", "params M", "MACs G", "top-1 %", "source"):
        table.add_column(column, justify="left" if column in ("model", "source") else "right")
    for row in rows:
        top1 = row["published_top1_pct"]
        table.add_row(
            row["model"],
            f"{row['params'] / 1e6:.1f}",
            f"{row['macs'] / 1e9:.2f}",
            f"{top1:.2f}" if top1 is not None else "-",
            row["source"] or "none recorded here",
        )
    Console().print(table)


def recipes(json: JsonFlag = False, verbose: VerboseFlag = False) -> None:
    """List the shipped recipes and what each one states."""
    from edge_convnext.core.recipe import recipe_folder, recipe_names
    from edge_convnext.networks.recipe_file import load_recipe

    rows: list[dict[str, Any]] = []
    for name in recipe_names():
        recipe = load_recipe(name)
        size = recipe.preprocess.image_size
        rows.append(
            {"name": name, "model": recipe.model, "image_size": size, "about": recipe.about}
        )
    if json:
        print_json({"folder": str(recipe_folder()), "recipes": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for column in ("name", "model", "px", "about"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    Console().print(f"in {recipe_folder()}", markup=False, soft_wrap=True)


def doctor(json: JsonFlag = False, verbose: VerboseFlag = False) -> None:
    """Say what is installed, which runtimes and targets work here, and what to install."""
    from dataclasses import asdict

    from edge_convnext.devices.doctor import examine

    examination = examine()
    if json:
        print_json(asdict(examination))
        return
    from rich.console import Console

    from edge_convnext.cli.views.doctor import print_examination

    print_examination(examination, Console())


@cache_app.command("info")
def cache_info(json: JsonFlag = False, verbose: VerboseFlag = False) -> None:
    """Show where the cache is and what it holds."""
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
        typer.echo(f"{stage.stage:10} {stage.entries:6} entries {stage.size_bytes / 1e6:10.1f} MB")
    typer.echo(f"{'total':10} {sum(s.entries for s in usage):6} entries {total / 1e6:10.1f} MB")


@cache_app.command("prune")
def cache_prune(
    older_than_days: Annotated[
        float, typer.Option(min=0, help="Keep what was used since; 0 removes everything.")
    ] = 30.0,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Remove entries that were not used lately, and what killed runs left."""
    removed, freed = Cache(default_cache_folder(os.environ)).prune(older_than_days)
    if json:
        print_json({"removed": removed, "freed_bytes": freed})
        return
    typer.echo(f"removed {removed} entries, freed {freed / 1e6:.1f} MB")

"""`edge-convnext models`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json

__all__ = ["models"]


def models(
    image_size: Annotated[
        int,
        typer.Option(min=32, help="Height and width of the images to count MACs for, in pixels."),
    ] = 224,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """List the architectures: parameters, MACs, published top-1 and its source."""
    rows = _rows(image_size)
    if json:
        print_json({"image_size": image_size, "num_classes": 1000, "models": rows})
        return
    from rich.console import Console

    from edge_convnext.cli.views.models import print_models

    print_models(rows, image_size, Console())


def _rows(image_size: int) -> list[dict[str, Any]]:
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
    return rows

"""`edge-convnext models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json
from edge_convnext.cli.values import check_image_size

if TYPE_CHECKING:
    from edge_convnext.core.image_size import ImageSize

__all__ = ["models"]

_LEAST = 32  # pixels of a side, as of a build


def models(
    image_size: Annotated[
        str,
        typer.Option(
            metavar="N|HEIGHT,WIDTH",
            callback=check_image_size,
            help="Image size to count MACs for, in pixels: one number for a square, or the height "
            "and the width.",
        ),
    ] = "224",
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """List the architectures: parameters, MACs, published top-1 and its source."""
    from edge_convnext.core.image_size import sides_of

    size = cast("ImageSize", image_size)  # the callback has read it
    if min(sides_of(size)) < _LEAST:
        raise typer.BadParameter(f"--image-size: a side has {_LEAST} pixels or more.")
    rows = _rows(size)
    if json:
        print_json({"image_size": size, "num_classes": 1000, "models": rows})
        return
    from rich.console import Console

    from edge_convnext.cli.views.models import print_models

    print_models(rows, size, Console())


def _rows(image_size: ImageSize) -> list[dict[str, Any]]:
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

"""`edge-convnext models`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json
from edge_convnext.cli.values import check_image_size

if TYPE_CHECKING:
    from collections.abc import Callable

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
    imgsz: Annotated[
        str | None, typer.Option(callback=check_image_size, hidden=True, help="Image size, too.")
    ] = None,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """List the networks: parameters, MACs, published top-1, and how others are named."""
    from edge_convnext.core.image_size import sides_of

    size = cast("ImageSize", imgsz or image_size)  # the callbacks have read them
    if min(sides_of(size)) < _LEAST:
        raise typer.BadParameter(f"--image-size: a side has {_LEAST} pixels or more.")
    rows, further = _rows(size), _further()
    if json:
        print_json({"image_size": size, "num_classes": 1000, "models": rows, "further": further})
        return
    from rich.console import Console

    from edge_convnext.cli.views.models import print_models

    print_models(rows, size, Console(), further)


def _rows(image_size: ImageSize) -> list[dict[str, Any]]:
    from edge_convnext.networks.family import families, find_model

    rows: list[dict[str, Any]] = []
    for family, name in [(one, name) for one in families() for name in one.models]:
        architecture = find_model(name)
        published = family.published_top1(name)
        rows.append(
            {
                "model": name,
                "family": family.label,
                "params": _count(architecture.count_params),
                "macs": _count(partial(architecture.count_macs, image_size)),
                "published_top1_pct": published.top1_pct if published else None,
                "source": published.source if published else None,
            }
        )
    return rows


def _count(count: Callable[[], int]) -> int | None:
    """A count; None where the module has to be made for it, and torch is not installed."""
    try:
        return count()
    except ImportError:
        return None


def _further() -> dict[str, str]:
    """How models that no list has are named, by the family's prefix."""
    from edge_convnext.networks.family import FAMILIES, find_family

    return {name: one.how_to_name for name in FAMILIES if (one := find_family(name)).how_to_name}

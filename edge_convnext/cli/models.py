"""`edge-convnext models`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["models"]


def models(
    image_size: Annotated[
        int,
        typer.Option(min=32, help="Height and width of the images to count MACs for, in pixels."),
    ] = 224,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """List the networks: parameters, MACs, published top-1, and how others are named."""
    rows, further = _rows(image_size), _further()
    if json:
        print_json(
            {"image_size": image_size, "num_classes": 1000, "models": rows, "further": further}
        )
        return
    from rich.console import Console

    from edge_convnext.cli.views.models import print_models

    print_models(rows, image_size, Console(), further)


def _rows(image_size: int) -> list[dict[str, Any]]:
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

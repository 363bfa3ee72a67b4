"""timm's image classifiers as `networks.protocol.NetworkFamily`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.networks.generic import GenericFamily
from edge_convnext.networks.made.family import MadeFamily
from edge_convnext.networks.made.shape import MadeShape
from edge_convnext.networks.timm_models.library import PREFIX, TimmMaker, find_name

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.core.artifacts import NetworkShape
    from edge_convnext.networks.protocol import NetworkFamily
    from edge_convnext.networks.published import Fetched, Published, Settings

__all__ = ["FAMILY", "TimmFamily"]


class TimmFamily(MadeFamily, GenericFamily):
    """Every name that `timm.list_models()` has."""

    label = "timm"
    how_to_name = "timm:NAME, any image classifier of timm"

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> MadeShape | None:
        """By timm's own list; the nearest names are told of one that it lacks."""
        if not name.startswith(PREFIX):
            return None
        known = find_name(name.removeprefix(PREFIX))
        return MadeShape("timm", f"{PREFIX}{known}", num_classes, in_channels, TimmMaker(known))

    def stated(self, shape: NetworkShape) -> Settings:
        """Timm's data config."""
        from edge_convnext.networks.timm_models.stated import stated_by_timm

        return stated_by_timm(shape.name.removeprefix(PREFIX))

    def fetch(self, shape: NetworkShape, weights: str) -> Fetched | None:
        """`timm` and `timm@REVISION`: see `weights.fetch`."""
        from edge_convnext.networks.timm_models.weights import fetch_weights

        return fetch_weights(shape.name.removeprefix(PREFIX), weights)

    def is_same(self, one: str, other: str) -> bool:
        """Where they differ in the tag alone, which is of weights."""
        first, second = (name.rpartition("/")[2].partition(".")[0] for name in (one, other))
        return first.removeprefix(PREFIX) == second.removeprefix(PREFIX)

    def find_published(self, path: Path, model: str) -> Published | None:
        """See `weights.find_published`."""
        from edge_convnext.networks.timm_models.weights import find_published

        return find_published(path, model.removeprefix(PREFIX))


FAMILY: NetworkFamily = TimmFamily()

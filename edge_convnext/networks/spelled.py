"""A model as a user spells it: which family it goes to, and which weights are meant.

`timm:convnextv2_atto` and `hf:` of a ConvNeXt are read by the family in the tree, whose graphs were
tuned; a model of transformers brings its own weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_convnext.core.errors import LoadError, RecipeError
from edge_convnext.core.files import expand_home
from edge_convnext.networks.family import families, family_of_model, full_name
from edge_convnext.networks.model_folder import CONFIG, PREFIX, read_config

__all__ = ["Spelled", "settle_model"]

_TIMM = "timm:"


@dataclass(frozen=True)
class Spelled:
    """A model's full name, and what `--weights` is for it."""

    model: str
    weights: str | None
    note: str = ""  # what is told of a model that another family builds


def settle_model(name: str, weights: str | None) -> Spelled:
    """Settle a name, without importing a library or running code.

    Args:
        name: Name as it is stated.
        weights: Weights as they are stated; None: they are not.

    Raises:
        RecipeError: No family has such a name.
    """
    stated = name.strip()
    if stated.startswith(_TIMM) and (found := _listed(stated.removeprefix(_TIMM))):
        return _told(stated, found, _timm_weights(stated, weights))
    if stated.startswith(PREFIX) and (found := _of_transformers(stated)):
        return _told(stated, found, weights or stated)
    full = full_name(stated)
    outside = family_of_model(full).outside
    if weights is None and outside is not None:
        weights = outside.own_weights(full)
    return Spelled(full, weights)


def _listed(name: str) -> str | None:
    """The model of a family in the tree that has this name in full."""
    for family in families():
        if family.how_to_name or name.lower() in family.short_names:
            continue
        if (found := family.full_name(name)) is not None:
            return found
    return None


def _timm_weights(name: str, weights: str | None) -> str | None:
    """Weights by timm's keyword: those of the tag, else those that are known of the size."""
    keyword, at, revision = (weights or "").partition("@")
    if keyword != "timm":
        return weights
    rest = name.removeprefix(_TIMM).rpartition("/")[2]
    return f"{PREFIX}timm/{rest}{at}{revision}" if "." in rest else f"in1k{at}{revision}"


def _of_transformers(name: str) -> str | None:
    """The model in the tree of a folder's configuration, or of a name on the hub."""
    place = name.removeprefix(PREFIX)
    folder = expand_home(place)
    if not folder.is_dir():
        return _listed(place.partition("@")[0]) if "/" in place and not folder.exists() else None
    if not (folder / CONFIG).is_file():
        return None
    try:
        config = read_config(folder)
    except (LoadError, RecipeError):
        return None  # told when it is loaded
    found = (one.name_of_config(config) for one in families())
    return next((one for one in found if one is not None), None)


def _told(stated: str, found: str, weights: str | None) -> Spelled:
    label = family_of_model(found).label
    note = f"{stated} is built as {found}, a network of this project's own ({label})"
    return Spelled(found, weights, note)

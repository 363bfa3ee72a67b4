"""A model as a user spells it: which family it goes to, and which weights are meant.

`timm:convnextv2_atto` and `hf:` of a ConvNeXt are read by the family in the tree, whose graphs were
tuned; a model of transformers brings its own weights. Where no model is stated, a folder of weights
may say by its `config.json` which it is, and a file of `edge-convnext train` by its metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_convnext.core.errors import LoadError, RecipeError, shorten
from edge_convnext.core.files import expand_home
from edge_convnext.networks.family import families, family_of_model, full_name
from edge_convnext.networks.model_folder import CONFIG, PREFIX, read_config
from edge_convnext.networks.recorded import recorded_info

__all__ = ["Spelled", "find_stated_model", "settle_model"]

_TIMM = "timm:"
_TIMM_NAME = re.compile(r"[A-Za-z0-9_.]{1,100}")
_CLASSIFIER = "ForImageClassification"  # in the names of transformers' classes


@dataclass(frozen=True)
class Spelled:
    """A model's full name, and what `--weights` is for it."""

    model: str
    weights: str | None
    note: str = ""  # what is told of a model that another family builds, or that a folder states


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


def find_stated_model(weights: str | None) -> Spelled | None:
    """The model that weights state, for a user who states none.

    Args:
        weights: Weights as they are stated: `hf:FOLDER`, a folder, or a file of
            `edge-convnext train`; else nothing is found.

    Returns:
        None where nothing is stated, and for a `config.json` of a family in the tree, which reads
        it off the weights.

    Raises:
        RecipeError: The file is of a model on the hub, which is asked for nothing on a file's word.
    """
    place = (weights or "").removeprefix(PREFIX)
    config = _config_in(expand_home(place)) if place else None
    if config is None:
        return _find_trained(weights)
    if _listed_by(config) is not None:
        return None
    classes, name = config.get("architectures"), config.get("architecture")
    if isinstance(classes, list) and any(_CLASSIFIER in str(one) for one in classes):
        model, what = f"{PREFIX}{place}", shorten(str(classes[0]), 80)
    elif isinstance(name, str) and _TIMM_NAME.fullmatch(name) and _listed(name) is None:
        model, what = f"{_TIMM}{name}", f"{name} of timm"
    else:
        return None
    return Spelled(model, weights, f"{model}: no model is stated, and {CONFIG} says {what}")


def _find_trained(weights: str | None) -> Spelled | None:
    """The model that a file of `edge-convnext train` has in its metadata."""
    if not weights or weights.startswith(PREFIX) or "\0" in weights:
        return None
    path = expand_home(weights)
    info = recorded_info(path) if path.exists() else None
    try:
        model = full_name(info.model) if info is not None else None
    except RecipeError:
        model = None  # of another version: loading it says so
    if model is None:
        return None
    if model.startswith(PREFIX) and not expand_home(model.removeprefix(PREFIX)).is_dir():
        raise RecipeError(
            f"{path}: was trained as {shorten(model)}, and there is no such folder here; pass "
            "--model with the folder of that model, or with its name on the hub"
        )
    note = f"{model}: no model is stated, and the metadata of {path.name} says so"
    return Spelled(model, weights, note)


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
    config = _config_in(folder)
    return None if config is None else _listed_by(config)


def _config_in(folder: Path) -> dict[str, Any] | None:
    """The configuration in a folder; what is wrong with it is told when the weights are loaded."""
    try:
        return read_config(folder) if (folder / CONFIG).is_file() else None
    except (LoadError, RecipeError, OSError, ValueError):
        return None


def _listed_by(config: Mapping[str, Any]) -> str | None:
    """The model of a family in the tree that a configuration describes."""
    found = (one.name_of_config(config) for one in families())
    return next((one for one in found if one is not None), None)


def _told(stated: str, found: str, weights: str | None) -> Spelled:
    label = family_of_model(found).label
    note = f"{stated} is built as {found}, a network of this project's own ({label})"
    return Spelled(found, weights, note)

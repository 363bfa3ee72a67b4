"""The table of network families, and which of them a name, weights or a graph belongs to.

A model is called by a name that a family lists (`convnextv2_atto`), or `PREFIX:REST` with the name
of an open family before the colon (`timm:mobilenetv2_100`). The prefix alone decides then: no file
is opened, nothing of another library is imported, and no code of a user runs.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from edge_convnext.core.artifacts import METADATA_KEY, Weights
from edge_convnext.core.errors import ArtifactError, RecipeError, shorten
from edge_convnext.networks.model_names import unknown_model, unknown_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onnx import ModelProto

    from edge_convnext.core.artifacts import NetworkShape, PlacementName
    from edge_convnext.networks.protocol import NetworkFamily

__all__ = [
    "FAMILIES",
    "families",
    "family_of",
    "family_of_graph",
    "family_of_model",
    "find_family",
    "find_model",
    "full_name",
    "quantized_nodes",
]

# By name, the module that holds `FAMILY`; imported when a family is first asked for. The name of an
# open family is the prefix of its models.
FAMILIES: dict[str, str] = {
    "convnext": "edge_convnext.networks.convnext.family",
    "conv2former": "edge_convnext.networks.conv2former.family",
    "timm": "edge_convnext.networks.timm_models.family",
    "hf": "edge_convnext.networks.hf_models.family",
    "module": "edge_convnext.networks.own_modules.family",
}


def families() -> tuple[NetworkFamily, ...]:
    """Every family, in the order of `FAMILIES`."""
    return tuple(map(find_family, FAMILIES))


def find_family(name: str) -> NetworkFamily:
    """The family of a name.

    Raises:
        RecipeError: No family has this name; the message lists those that there are.
    """
    if name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise RecipeError(f"unknown network family '{shorten(name)}': known are {known}")
    return _import_family(FAMILIES[name])


@cache
def _import_family(module: str) -> NetworkFamily:
    return cast("NetworkFamily", import_module(module).FAMILY)


def find_model(name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape:
    """Look a model up by a name that people know it by, in every family.

    An open family may import what it needs for it, and run a user's code.

    Raises:
        RecipeError: No such model; the message names the nearest ones.
    """
    for family in _candidates(name):
        if (found := family.find(name, num_classes, in_channels)) is not None:
            return found
    raise _unknown(name)


def full_name(name: str) -> str:
    """The name of a model as recipes and reports have it, of one that people know it by.

    Raises:
        RecipeError: No family has such a name; the message names the nearest ones.
    """
    for family in _candidates(name):
        if (found := family.full_name(name)) is not None:
            return found
    raise _unknown(name)


def _candidates(name: str) -> tuple[NetworkFamily, ...]:
    """The open family of a prefix; of other names, every family that lists its models."""
    prefix, colon, _ = name.partition(":")
    if colon and prefix in FAMILIES and (family := find_family(prefix)).how_to_name:
        return (family,)
    return tuple(one for one in families() if not one.how_to_name)


def _unknown(name: str) -> RecipeError:
    prefix, colon, _ = name.partition(":")
    ways = {one: family.how_to_name for one in FAMILIES if (family := find_family(one)).how_to_name}
    if colon and ways:
        return unknown_prefix(name, prefix, ways)
    listed = (one for one in families() if not one.how_to_name)
    return unknown_model(
        name, [each for one in listed for each in one.models + one.short_names], ways
    )


def family_of(network: Weights | NetworkShape) -> NetworkFamily:
    """The family of weights, or of a shape.

    Raises:
        RecipeError: It is of none in `FAMILIES`.
    """
    shape = network.architecture if isinstance(network, Weights) else network
    return find_family(shape.family)


def family_of_model(model: str) -> NetworkFamily:
    """The family of a model's name; of one with a prefix, by that alone.

    Raises:
        RecipeError: No such model; the message names the nearest ones.
    """
    for family in _candidates(model):
        if family.how_to_name or family.full_name(model) is not None:
            return family
    raise _unknown(model)


def family_of_graph(proto: ModelProto, path: Path) -> NetworkFamily:
    """The family of a graph that `stages.export` wrote, or of what was made of it.

    Args:
        proto: The graph; its weights are not needed.
        path: What to name in messages.

    Raises:
        ArtifactError: The graph does not say of which model it is, or of one that is not known.
    """
    model = _model_of(proto)
    if model is None:
        raise ArtifactError(
            f"{path}: names no model in its edge-convnext metadata; "
            "pass a graph that `edge-convnext build` wrote"
        )
    try:
        return family_of_model(model)
    except RecipeError as error:
        raise ArtifactError(f"{path}: {error}") from error


def quantized_nodes(
    proto: ModelProto, path: Path, weighted: Iterable[str], placement: PlacementName
) -> frozenset[str] | None:
    """Names of the nodes that a placement quantizes, by the family of the graph.

    Args:
        proto: The graph. One that names no model has no module names that a placement could go
            by: `all` is everything, and others are nothing.
        path: What to name in messages.
        weighted: Names of the convolutions and matrix products.
        placement: Policy.

    Returns:
        The allow-list; None when every node may be quantized.

    Raises:
        ArtifactError: The graph names a model that is not known.
    """
    if _model_of(proto) is None:
        return None if placement == "all" else frozenset()
    return family_of_graph(proto, path).quantized_nodes(weighted, placement)


def _model_of(proto: ModelProto) -> str | None:
    stated = next((one.value for one in proto.metadata_props if one.key == METADATA_KEY), "{}")
    try:
        model = json.loads(stated)["model"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return model if isinstance(model, str) else None

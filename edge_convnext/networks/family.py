"""The table of network families, and how a name, weights or a graph finds its family.

A model has a name that its family lists (`convnextv2_atto`), or `PREFIX:REST` with the name of an
open family before the colon (`timm:mobilenetv2_100`). Then the prefix alone decides: no file is
opened, no other library is imported, and no code of a user runs.
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
    "is_same_model",
    "quantized_nodes",
]

# The module that holds `FAMILY`, by the family's name; imported on first use. The name of an open
# family is the prefix of its models.
FAMILIES: dict[str, str] = {
    "convnext": "edge_convnext.networks.convnext.family",
    "onnx": "edge_convnext.networks.onnx_file.family",
    "conv2former": "edge_convnext.networks.conv2former.family",
    "timm": "edge_convnext.networks.timm_models.family",
    "hf": "edge_convnext.networks.hf_models.family",
    "module": "edge_convnext.networks.own_modules.family",
}


def families() -> tuple[NetworkFamily, ...]:
    """Every family, in the order of `FAMILIES`."""
    return tuple(map(find_family, FAMILIES))


def find_family(name: str) -> NetworkFamily:
    """Find a family by its name.

    Raises:
        RecipeError: No family has this name; the message lists the known ones.
    """
    if name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise RecipeError(f"unknown network family '{shorten(name)}': known are {known}")
    return _import_family(FAMILIES[name])


@cache
def _import_family(module: str) -> NetworkFamily:
    return cast("NetworkFamily", import_module(module).FAMILY)


def find_model(name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape:
    """Look a model up by any of its usual names, in every family.

    An open family may import other libraries, and run a user's code.

    Raises:
        RecipeError: There is no such model; the message names the most similar ones.
    """
    for family in _candidates(name):
        if (found := family.find(name, num_classes, in_channels)) is not None:
            return found
    raise _unknown(name)


def full_name(name: str) -> str:
    """Return a model's name as recipes and reports state it.

    Args:
        name: Any of its usual names.

    Raises:
        RecipeError: No family has such a name; the message names the most similar ones.
    """
    for family in _candidates(name):
        if (found := family.full_name(name)) is not None:
            return found
    raise _unknown(name)


def _candidates(name: str) -> tuple[NetworkFamily, ...]:
    """List the families that can have a name: the open one of its prefix, or those with lists."""
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
    """Return the family of weights, or of a shape.

    Raises:
        RecipeError: The family is not in `FAMILIES`.
    """
    shape = network.architecture if isinstance(network, Weights) else network
    return find_family(shape.family)


def family_of_model(model: str) -> NetworkFamily:
    """Return the family that a model's name belongs to; a prefix alone decides.

    Raises:
        RecipeError: There is no such model; the message names the most similar ones.
    """
    for family in _candidates(model):
        if family.how_to_name or family.full_name(model) is not None:
            return family
    raise _unknown(model)


def is_same_model(recorded: str, asked: str) -> bool:
    """Whether the name in a file of weights and that of the requested model mean one network.

    Where names are places, as of folders and of a user's code, the network may have moved.
    """
    try:
        names = full_name(recorded), full_name(asked)
        owners = tuple(map(family_of_model, names))
    except RecipeError:
        return recorded == asked  # of another version
    if names[0] == names[1]:
        return True
    outside = owners[1].outside
    return owners[0] is owners[1] and outside is not None and outside.is_same(*names)


def family_of_graph(proto: ModelProto, path: Path) -> NetworkFamily:
    """Return the family of a graph that `stages.export` wrote, or that was made from one.

    Args:
        proto: The graph; its weights are not needed.
        path: The graph's file, for messages.

    Raises:
        ArtifactError: The graph states no model, or an unknown one.
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


def is_placed_by_roles(proto: ModelProto, path: Path) -> bool:
    """Whether the family of a graph has its placements by roles; a graph of no family has not."""
    try:
        return family_of_graph(proto, path).placer == "roles"
    except ArtifactError:
        return False


def quantized_nodes(
    proto: ModelProto, path: Path, weighted: Iterable[str], placement: PlacementName
) -> frozenset[str] | None:
    """List the nodes that a placement quantizes, by the rules of the graph's family.

    Args:
        proto: The graph. If it states no model, its module names mean nothing to a placement:
            then `all` selects every node, and any other placement selects none.
        path: The graph's file, for messages.
        weighted: Names of the convolutions and matrix products.
        placement: The policy.

    Returns:
        Names of the nodes that may be quantized; None if every node may be.

    Raises:
        ArtifactError: The graph states an unknown model.
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

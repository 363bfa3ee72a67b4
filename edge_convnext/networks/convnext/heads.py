"""Find the classifier of a network: one linear layer, under any name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.networks.convnext.leftovers import is_pretraining
from edge_convnext.networks.leftovers import is_bystander, is_scale

__all__ = ["Head", "describe_layers", "find_head"]

_SHOWN = 6
# Heads whose logits are angles to the weight's rows, not products with them.
_ANGLES = re.compile(r"arc|cos|margin|sphere|proto|center|norm_?linear", re.IGNORECASE)


@dataclass(frozen=True)
class Head:
    """The classifier's tensor names in the file; both None if there is no classifier."""

    weight: str | None = None
    bias: str | None = None
    classes: int = 0
    notes: tuple[str, ...] = ()


def find_head(
    own: str | None, named: Mapping[str, Any], left: Mapping[str, Any], width: int, source: str
) -> Head:
    """Find the one linear layer that reads the features.

    Args:
        own: The weight's name in the dialect, if the state dict has it; None otherwise.
        named: The state dict.
        left: The tensors of `named` that are no part of the backbone.
        width: Channels of the features.
        source: The checkpoint's name for messages.

    Returns:
        The head's names; both None if there is no linear layer.

    Raises:
        LoadError: There are several linear layers, or the only one does not fit the features.
    """
    behind = {**left, own: named[own]} if own is not None else left
    layers = _linear_layers(behind)
    if own is not None and own not in layers:
        raise LoadError(
            f"{source}: the classifier '{shorten(own)}' has shape {_shape(named[own])}, "
            f"not [classes, {width}]"
        )
    reading = [name for name, shape in layers.items() if shape[1] == width]
    if len(layers) > 1:
        raise LoadError(
            f"{source}: {len(layers)} linear layers behind the features, "
            f"{describe_layers(layers)}; one, [classes, {width}], is read: train the model with "
            "such a head (`edge-convnext train --init` keeps the backbone), or save the network "
            "that is to be built alone"
        )
    if not reading:
        if layers:
            raise LoadError(
                f"{source}: the only linear layer is {describe_layers(layers)}, but the features "
                f"have {width} channels; save the ConvNeXt's state dict alone"
            )
        return Head()
    return _read_head(reading[0], layers[reading[0]][0], {**left, **named}, source)


def describe_layers(layers: Mapping[str, tuple[int, ...]]) -> str:
    """List names and shapes, the first few."""
    shown = [f"'{shorten(name, 80)}' {list(shape)}" for name, shape in layers.items()]
    return ", ".join(shown[:_SHOWN]) + (", …" if len(shown) > _SHOWN else "")


def _linear_layers(left: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Find float weights of shape [out, in], including those of 1x1 convolutions."""
    pretrained = any(name.endswith("mask_token") for name in left)
    found: dict[str, tuple[int, ...]] = {}
    for name, value in left.items():
        shape = _squeezed(value)
        if len(shape) != 2 or is_bystander(name, value) or is_scale(name):
            continue
        if not (pretrained and is_pretraining(name)):
            found[name] = shape
    return found


def _squeezed(value: Any) -> tuple[int, ...]:
    """The shape [out, in] of a linear layer; a single output keeps its axis."""
    if not isinstance(value, Tensor) or value.dim() not in (2, 4):
        return ()
    shape = tuple(value.shape)
    return shape[:2] if set(shape[2:]) <= {1} else ()


def _read_head(weight: str, classes: int, named: Mapping[str, Any], source: str) -> Head:
    stem = weight.removesuffix("weight")
    bias = f"{stem}bias"
    found = isinstance(named.get(bias), Tensor) and named[bias].numel() == classes
    if not found and _ANGLES.search(weight):
        raise LoadError(
            f"{source}: '{shorten(weight)}' has no bias and is named as a head of angles (ArcFace "
            "and the like), which no linear layer computes; train a linear head "
            "(`edge-convnext train --init` keeps the backbone)"
        )
    note = f"the classifier '{shorten(weight)}' has no bias; it is taken as 0"
    return Head(weight, bias if found else None, classes, () if found else (note,))


def _shape(value: Any) -> str:
    return str(list(value.shape)) if isinstance(value, Tensor) else type(value).__name__

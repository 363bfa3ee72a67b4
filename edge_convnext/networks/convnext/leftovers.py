"""Tensors beside a ConvNeXt's own that FCMAE adds, or that a layer before or after it has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from edge_convnext.networks.convnext.sizes import Architecture

__all__ = ["is_pretraining", "may_be_layer"]

# What FCMAE adds for its task, and throws away afterwards.
_PRETRAINING = re.compile(r"(?:mask_token|decoder|decoder_\w+|proj|pred)(?:\.|\Z)")


def is_pretraining(name: str) -> bool:
    """True if a tensor belongs to FCMAE's decoder."""
    return _PRETRAINING.match(name) is not None


def may_be_layer(value: Any, architecture: Architecture) -> bool:
    """True if a tensor has the shape of a layer before or after the network."""
    sizes = (architecture.in_channels, architecture.widths[-1], architecture.num_classes)
    if not isinstance(value, Tensor):
        return False
    shape = [n for n in value.shape if n != 1]
    return (
        shape[1:2] != [] and shape[1] in sizes
        if len(shape) > 1
        else shape[:1] != [] and (shape[0] in sizes)
    )

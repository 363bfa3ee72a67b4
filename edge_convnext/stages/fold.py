"""Fold: rewrite the weights so that the same function takes fewer operations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.files import AnyPath
from edge_convnext.core.step import Stage
from edge_convnext.networks.family import family_of
from edge_convnext.networks.tensors import read_state
from edge_convnext.networks.weights import save_weights

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import Weights

__all__ = ["STAGE", "fold_weights"]

# Relative to the largest logit: rounding causes 1e-6, a structural error 1e-2 or more.
STAGE = Stage("fold", 3, ("torch", "safetensors"), max_error=1e-4)


def fold_weights(weights: Weights, output: AnyPath) -> Weights:
    """Apply the exact folds of the network's family.

    Args:
        weights: Unfolded weights.
        output: The safetensors file to write the folded weights to.

    Returns:
        Folded weights with the same `info`, for every graph form except `raw`.

    Raises:
        ArtifactError: The file is damaged.
    """
    output = Path(output)
    if weights.folded:
        raise ValueError(f"{weights.path} is folded already")
    state = family_of(weights).fold(read_state(weights.path), weights.architecture)
    return save_weights(state, weights.architecture, weights.info, output)

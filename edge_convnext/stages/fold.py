"""Fold: rewrite the weights so that the same function takes fewer operations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.files import AnyPath
from edge_convnext.core.step import Stage
from edge_convnext.networks.weights import read_state, save_weights

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import Weights

__all__ = ["STAGE", "fold_weights"]

# Rounding gives 1e-6 of the largest logit; anything structural gives 1e-2 and more.
STAGE = Stage("fold", 3, ("torch", "safetensors"), max_error=1e-4)


def fold_weights(weights: Weights, output: AnyPath) -> Weights:
    """Apply the exact folds of `convnext.fold`.

    Args:
        weights: Unfolded.
        output: Where the folded weights go.

    Returns:
        Folded weights with the same `info`; for every graph form but `raw`.

    Raises:
        ArtifactError: The file is damaged.
    """
    output = Path(output)
    from edge_convnext.networks.convnext.fold import fold_state_dict
    from edge_convnext.networks.convnext.sizes import require_convnext

    if weights.folded:
        raise ValueError(f"{weights.path} is folded already")
    state = fold_state_dict(read_state(weights.path), require_convnext(weights.architecture))
    return save_weights(state, weights.architecture, weights.info, output)

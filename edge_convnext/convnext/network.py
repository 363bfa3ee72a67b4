"""Torch modules from weights on disk, and weights from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edge_convnext.convnext.forms import build_form
from edge_convnext.convnext.model import ConvNeXt
from edge_convnext.weights import read_state

if TYPE_CHECKING:
    from torch import Tensor

    from edge_convnext.artifacts import FormName, Weights
    from edge_convnext.convnext.architecture import Architecture

__all__ = ["build_network", "random_state"]


def build_network(weights: Weights, form: FormName) -> ConvNeXt:
    """Build one graph form, in evaluation mode.

    Args:
        weights: Unfolded for `raw`, folded for every other form.
        form: How the network is written (`convnext.forms`).

    Returns:
        A module from images float32[N, C, H, W] to logits float32[N, num_classes].

    Raises:
        ArtifactError: The file is damaged.
    """
    if weights.folded == (form == "raw"):
        state = "folded" if weights.folded else "unfolded"
        raise ValueError(f"the form '{form}' can't be built from {state} weights")
    return build_form(read_state(weights.path), weights.architecture, form)


def random_state(architecture: Architecture, seed: int) -> dict[str, Tensor]:
    """Draw weights that exercise every fold and every quantizer.

    The papers' initialisation leaves GRN, LayerScale, biases and LayerNorm's affine as
    identities; here they get random values too.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = ConvNeXt(architecture).state_dict()
        for tensor in state.values():
            if tensor.dim() == 1:  # biases, and every per-channel scale
                tensor.add_(0.1 * torch.randn(tensor.shape))
    return state

"""Build torch modules from weights on disk, and draw weights from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from edge_convnext.networks.convnext.forms import FORMS, FoldedBlock, Form, PatchLinear
from edge_convnext.networks.convnext.gpu_forms import GPU_FORMS
from edge_convnext.networks.convnext.modules import PAPER, ConvNeXt, Downsample, LayerNorm, Parts
from edge_convnext.networks.convnext.norms import UncentredNorm, move_centring
from edge_convnext.networks.convnext.sizes import require_convnext
from edge_convnext.networks.tensors import read_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from edge_convnext.core.artifacts import FormName, Weights
    from edge_convnext.networks.convnext.sizes import Architecture

__all__ = ["build_form", "build_network", "random_state"]


def build_network(weights: Weights, form: FormName) -> ConvNeXt:
    """Build one graph form, in evaluation mode.

    Args:
        weights: Unfolded weights for `raw`, folded ones for every other form.
        form: The graph form (`convnext.forms`, `convnext.gpu_forms`).

    Returns:
        A module from images float32[N, C, H, W] to logits float32[N, num_classes].

    Raises:
        ArtifactError: The file is damaged.
    """
    if weights.folded == (form == "raw"):
        state = "folded" if weights.folded else "unfolded"
        raise ValueError(f"the form '{form}' can't be built from {state} weights")
    return build_form(read_state(weights.path), require_convnext(weights.architecture), form)


def build_form(state: dict[str, Tensor], architecture: Architecture, form: FormName) -> ConvNeXt:
    """Build the network of one form, in evaluation mode.

    Args:
        state: The result of `fold.fold_state_dict`; the unfolded state dict for `raw`.
        architecture: The shape that `state` belongs to.
        form: `raw` (the paper's modules, unfolded), or one of `FORMS` or `GPU_FORMS`.

    Returns:
        A module from images float32[N, in_channels, H, W] to logits float32[N, num_classes].
    """
    parts = PAPER if form == "raw" else _parts(_find(form))
    network = ConvNeXt(architecture, parts=parts)
    own = network.state_dict()
    network.load_state_dict(
        {name: tensor.reshape(own[name].shape) for name, tensor in state.items()}
    )
    for module in network.modules():
        if isinstance(module, PatchLinear):
            module.flatten()
        elif isinstance(module, FoldedBlock | Downsample):
            _centre(module.norm, module.pwconv1 if isinstance(module, FoldedBlock) else module.conv)
    return network.eval()


def _centre(norm: nn.Module, product: nn.Module) -> None:
    """Let the product behind a norm remove the mean, if the norm does not."""
    if isinstance(norm, UncentredNorm):
        assert isinstance(product, nn.Conv2d)  # in every form that has such a norm
        move_centring(product)


def _parts(form: Form) -> Parts:
    return Parts(
        block=lambda stage, width, version, _drop_path_rate: FoldedBlock(
            width, version, form.blocks[stage]
        ),
        stem_norm=form.stem_norm,
        downsample_norm=form.downsample_norm,
        head_norm=lambda width: LayerNorm(width, affine=False),
        stem_conv=form.stem_conv,
        downsample_conv=form.downsample_conv,
        map_axes=form.map_axes,
    )


def _find(name: FormName) -> Form:
    forms: tuple[Mapping[Any, Form], ...] = (FORMS, GPU_FORMS)
    return next(known[name] for known in forms if name in known)


def random_state(architecture: Architecture, seed: int) -> dict[str, Tensor]:
    """Draw weights that exercise every fold and every quantizer.

    The papers initialise GRN, LayerScale, biases and LayerNorm's affine as identities. Here they
    get random values too.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = ConvNeXt(architecture).state_dict()
        for tensor in state.values():
            if tensor.dim() == 1:  # biases, and every per-channel scale
                tensor.add_(0.1 * torch.randn(tensor.shape))
    return state

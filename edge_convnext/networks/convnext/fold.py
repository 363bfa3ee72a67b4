"""Exact folds on a state dict: fewer operations, the same function.

Every fold is an identity of real arithmetic, computed here in float64 and rounded once:

- LayerNorm's affine goes into the linear or convolution that reads it. With y = w * n + b,
  W y + c = (W diag(w)) n + (c + W b). The convolutions between stages are 2x2 stride 2
  without padding, so the bias term is the same at every position.
- GRN's beta goes into pwconv2's bias. GRN(x) = x * (1 + gamma * n(x)) + beta, so
  W2 GRN(x) + c = W2 (x * (1 + gamma * n(x))) + (c + W2 beta).
- The stem's LayerNorm subtracts the mean over channels. The convolution before it can do that at
  no cost: with J the mean over outputs, (W - J W) x + (c - J c) has a mean of zero. The LayerNorm
  stays and gives the same result, but a form need not compute that mean.
- A block's LayerNorm removes the mean of the depthwise biases, so that mean is subtracted
  beforehand. A large mean would lose digits where the variance is computed from moments.
- V1's LayerScale goes into pwconv2: gamma * (W2 x + c) = (diag(gamma) W2) x + gamma * c.

The stem's LayerNorm keeps its affine, because the residual branch reads its output too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from edge_convnext.networks.convnext.sizes import Architecture

__all__ = ["fold_state_dict"]


def fold_state_dict(state: dict[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """Apply every exact fold.

    Args:
        state: Tensors in this project's names, float32; not modified.
        architecture: The shape that `state` belongs to.

    Returns:
        A state dict for `build.build_form`, float32: without `grn.beta`, `layer_scale.gamma` and
        all LayerNorm affines except the stem's.
    """
    wide = {name: tensor.double() for name, tensor in state.items()}
    _centre(wide, "stem.conv")
    for index, depth in enumerate(architecture.depths):
        if index:
            _fold_norm(wide, f"stages.{index}.downsample.norm", f"stages.{index}.downsample.conv")
        for position in range(depth):
            block = f"stages.{index}.blocks.{position}"
            bias = wide[f"{block}.dwconv.bias"]
            wide[f"{block}.dwconv.bias"] = bias - bias.mean()
            _fold_norm(wide, f"{block}.norm", f"{block}.pwconv1")
            if architecture.version == 2:
                _fold_grn_beta(wide, block)
            else:
                _fold_layer_scale(wide, block)
    _fold_norm(wide, "head.norm", "head.fc")
    return {name: tensor.float().contiguous() for name, tensor in wide.items()}


def _fold_norm(state: dict[str, Tensor], norm: str, linear: str) -> None:
    scale, shift = state.pop(f"{norm}.weight"), state.pop(f"{norm}.bias")
    weight = state[f"{linear}.weight"]  # [out, in] or [out, in, kh, kw]
    per_input = (1, -1) + (1,) * (weight.dim() - 2)
    contribution = (weight * shift.view(per_input)).flatten(1).sum(dim=1)
    state[f"{linear}.bias"] = state[f"{linear}.bias"] + contribution
    state[f"{linear}.weight"] = weight * scale.view(per_input)


def _centre(state: dict[str, Tensor], linear: str) -> None:
    """Make the outputs of a convolution sum to zero at every position."""
    for part in ("weight", "bias"):
        tensor = state[f"{linear}.{part}"]  # [out, …]
        state[f"{linear}.{part}"] = tensor - tensor.mean(dim=0)


def _fold_grn_beta(state: dict[str, Tensor], block: str) -> None:
    beta = state.pop(f"{block}.grn.beta")  # [4C]
    shift = state[f"{block}.pwconv2.weight"] @ beta
    state[f"{block}.pwconv2.bias"] = state[f"{block}.pwconv2.bias"] + shift


def _fold_layer_scale(state: dict[str, Tensor], block: str) -> None:
    gamma = state.pop(f"{block}.layer_scale.gamma")  # [C]
    state[f"{block}.pwconv2.weight"] = state[f"{block}.pwconv2.weight"] * gamma[:, None]
    state[f"{block}.pwconv2.bias"] = state[f"{block}.pwconv2.bias"] * gamma

"""Layers that networks of several families have."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ChannelNorm", "DropPath", "start_narrow"]


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of [N, C, H, W], written out: no axis is moved for it."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.ones(channels)),
            nn.Parameter(torch.zeros(channels)),
        )
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [N, C, H, W] over C."""
        centred = x - x.mean(1, keepdim=True)
        x = centred / torch.sqrt(centred.pow(2).mean(1, keepdim=True) + self.eps)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class DropPath(nn.Module):
    """Stochastic depth: drop the residual branch of an image with probability `rate`."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Drop branches [N, ...] in training; scale those that are kept."""
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        mask = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep)
        return x * mask / keep


def start_narrow(network: nn.Module) -> None:
    """Draw kernels and matrices from a normal distribution of 0.02, and set biases to zero."""
    for name, one in network.named_parameters():
        if one.dim() > 1:
            nn.init.trunc_normal_(one, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(one)

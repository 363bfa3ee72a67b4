"""Random weights of a network that was made outside of this package: no scale is an identity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from edge_convnext.core.image_size import ImageSize, sides_of
from edge_convnext.networks.made.branch_ends import find_branch_ends
from edge_convnext.networks.made.skeleton import make_skeleton

if TYPE_CHECKING:
    from torch import Tensor

    from edge_convnext.networks.made.maker import Maker

__all__ = ["draw_state"]

# Pixels, for networks that take any size. In smaller images the last maps are mostly border, whose
# zeros make the sums of large kernels small.
_USUAL = 224
# Pixels of the noise before it is enlarged, an image each: photographs have parts of every size,
# and statistics of one size alone let a deep network's maps grow without bound on the others.
_COARSE = (1, 4, 14, 56, 224)
# Of the scale of a norm that ends a residual branch. At full scale a deep network without training
# is chaotic: float32 and float64 differ by 0.2 of the largest logit on photographs
# (EfficientNetV2-S), so that no rewrite can be told from a wrong one. Trained networks have small
# branches; torchvision's ResNets even start at zero (arXiv:1706.02677, section 5.1).
_BRANCH_SCALE = 0.3
_FLOOR = 0.1  # of the mean variance of a norm's channels
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def draw_state(maker: Maker, num_classes: int, in_channels: int, seed: int) -> dict[str, Tensor]:
    """Draw weights that exercise every fold and every quantizer.

    Initial weights leave norms, biases and layer scales as identities, and batch norms at a mean of
    0 and a variance of 1. Here scales and biases are moved, batch norms that end a residual branch
    are made small, and each batch norm gets the statistics of noise at its place, in float64 and
    rounded so that they are the same on every machine.

    Returns:
        The state dict under the network's own names.

    Raises:
        NotSoError: There is no such network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = maker.make(num_classes, in_channels)
        with torch.no_grad():
            for parameter in network.parameters():
                _move(parameter)
            _settle_norms(network, maker, num_classes, in_channels)
        return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _move(parameter: nn.Parameter) -> None:
    if parameter.dim() == 1:  # biases, and every per-channel scale
        parameter.add_(0.1 * torch.randn(parameter.shape))
    elif parameter.dim() > 1 and not bool(parameter.any()):  # starts as nothing: a head, positions
        fan_in = math.prod(parameter.shape[1:])
        parameter.copy_(torch.randn(parameter.shape) * fan_in**-0.5)


def _settle_norms(network: nn.Module, maker: Maker, num_classes: int, in_channels: int) -> None:
    norms = [
        one for one in network.modules() if isinstance(one, _NORMS) and one.track_running_stats
    ]
    if not norms:
        return
    network.double()
    images = _draw_images(in_channels, _find_size(maker, num_classes, in_channels))
    for norm in find_branch_ends(network, norms, images[:1]):
        if isinstance(norm.weight, torch.Tensor):
            norm.weight.mul_(_BRANCH_SCALE)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.train()(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        _disturb(norm)
    network.float().eval()


def _draw_images(in_channels: int, size: ImageSize) -> Tensor:
    """Noise as coarse and as strong as normalised photographs: float64[N, C, H, W]."""
    shape = sides_of(size)
    images = torch.cat(
        [
            nn.functional.interpolate(
                torch.randn(1, in_channels, cells, cells, dtype=torch.float64),
                shape,
                mode="bilinear",
            )
            for cells in _COARSE
        ]
    )
    return 1.5 * images + 0.1 * torch.randn(images.shape, dtype=torch.float64)


def _find_size(maker: Maker, num_classes: int, in_channels: int) -> ImageSize:
    """The usual size of images for networks that take any; else the network's own."""
    try:
        network = make_skeleton(maker, num_classes, in_channels)
        first = next(network.parameters())
        with torch.no_grad():
            network(torch.zeros(2, in_channels, _USUAL, _USUAL, device=first.device))
    except Exception:  # a library's own errors: the size is fixed, or too small
        return maker.image_size
    return _USUAL


def _disturb(norm: nn.Module) -> None:
    """Move the statistics off those of the noise, and round them to eight bits."""
    mean, variance = norm.running_mean, norm.running_var
    assert isinstance(mean, torch.Tensor)
    assert isinstance(variance, torch.Tensor)
    # A channel that hardly moved here may well move in a photograph: divided by next to nothing, it
    # would grow from norm to norm until the logits are infinite.
    variance.clamp_(min=max(1e-4, _FLOOR * float(variance.mean())))
    mean.add_(0.1 * variance.sqrt() * torch.randn(mean.shape, dtype=mean.dtype))
    variance.mul_(0.8 + 0.4 * torch.rand(variance.shape, dtype=variance.dtype))
    for tensor in (mean, variance):
        tensor.copy_(tensor.bfloat16())
    tracked = norm.num_batches_tracked
    assert isinstance(tracked, torch.Tensor)
    tracked.fill_(1)

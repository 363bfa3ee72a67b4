"""Norms over the channels of [N, C, H, W], written as the operators that a runtime runs fast.

They differ in what they compute of a mean over channels:

| norm | mean |
|---|---|
| `WrittenOutNorm` | subtracted; the variance is that of the differences |
| `MomentsNorm` | subtracted; the variance is E[x^2] - E[x]^2 |
| `UncentredNorm` | not subtracted: the weights behind do it; the variance is by moments too |
| `CentredNorm` | known to be zero |

Each is exact in real arithmetic. How large the mean is at most decides whether it is in floats, so
`settle_norms` looks at real images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from edge_convnext.networks.convnext.modules import EPS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CentredNorm",
    "MomentsNorm",
    "UncentredNorm",
    "WrittenOutNorm",
    "move_centring",
    "settle_norms",
]

# The largest ratio of mean to standard deviation over channels, at any position, for the variance
# by moments. Its relative error is float32's step times the ratio squared: 1e-5 at 10, 4e-4 at 50.
_MOST_DEVIATIONS = 10.0
# The same for a norm that does not subtract its mean: above, its output has twice the range.
_MOST_UNCENTRED = 2.0


class WrittenOutNorm(nn.Module):
    """LayerNorm over the channels of [N, C, H, W], written as elementwise operators."""

    def __init__(self, channels: int, affine: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [N, C, H, W] over C."""
        wide = x.float()
        centred = wide - wide.mean(dim=1, keepdim=True)
        variance = (centred * centred).mean(dim=1, keepdim=True)
        return self._scale(centred * torch.rsqrt(variance + EPS)).to(x.dtype)

    def _scale(self, y: Tensor) -> Tensor:
        if self.weight is None or self.bias is None:
            return y
        return y * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class MomentsNorm(WrittenOutNorm):
    """`WrittenOutNorm` with the variance as E[x^2] - E[x]^2.

    Both means are computed from the input, so neither waits for the other. The difference loses
    digits if the mean over channels is large compared with their standard deviation.
    `settle_norms` finds such norms; they are computed as `WrittenOutNorm`.
    """

    def __init__(self, channels: int, affine: bool) -> None:
        super().__init__(channels, affine)
        self.written_out = False

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [N, C, H, W] over C."""
        if self.written_out:
            return super().forward(x)
        wide = x.float()
        mean = wide.mean(dim=1, keepdim=True)
        # Rounding can make a small difference negative, which has no square root.
        variance = torch.relu(_mean_square(wide) - mean * mean)
        return self._scale(self._centre(wide, mean) * torch.rsqrt(variance + EPS)).to(x.dtype)

    def _centre(self, x: Tensor, mean: Tensor) -> Tensor:
        return x - mean


class UncentredNorm(MomentsNorm):
    """`MomentsNorm` without the subtraction: what reads it removes the mean (`move_centring`).

    Its output, x / deviation, has a mean of m = mean / deviation. A quantizer has to cover that
    too, and the rounded weights no longer remove all of it. `settle_norms` finds norms with a large
    m; they subtract the mean, which changes nothing for the weights behind.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)
        self.subtracts = False

    def _centre(self, x: Tensor, mean: Tensor) -> Tensor:
        return x - mean if self.subtracts else x


class CentredNorm(WrittenOutNorm):
    """`MomentsNorm` for a map whose mean over channels is already zero (`fold`)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [N, C, H, W] over C."""
        wide = x.float()
        return self._scale(wide * torch.rsqrt(_mean_square(wide) + EPS)).to(x.dtype)


def settle_norms(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Let each norm compute its mean as its real inputs need it.

    Args:
        network: A network of any form; changed in place.
        batches: Real images, float32[n, C, H, W].
    """
    norms = [module for module in network.modules() if isinstance(module, MomentsNorm)]
    furthest = dict.fromkeys(norms, 0.0)

    def look(norm: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        deviation, mean = torch.std_mean(arguments[0].double(), dim=1, correction=0)
        own = float((mean.abs() / (deviation * deviation + EPS).sqrt()).max())
        furthest[norm] = max(furthest[norm], own)  # type: ignore[index]  # only these are hooked

    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    with torch.no_grad():
        for images in batches if norms else ():
            network(images)
    for hook in hooks:
        hook.remove()
    for norm, far in furthest.items():
        norm.written_out = far > _MOST_DEVIATIONS
        if isinstance(norm, UncentredNorm):
            norm.subtracts = far > _MOST_UNCENTRED


def move_centring(product: nn.Conv2d) -> None:
    """Make a product ignore the mean over its input's channels.

    With J the mean over inputs, (W - W J) x = W (x - J x): exact, also for kernels, because each
    position has a mean of its own. It is computed in float64 and rounded once.

    Args:
        product: Convolution without padding, right behind a norm; changed in place.
    """
    with torch.no_grad():
        wide = product.weight.double()  # [out, in, kh, kw]
        product.weight.copy_(wide - wide.mean(dim=1, keepdim=True))


def _mean_square(x: Tensor) -> Tensor:
    # Not an L2 norm: it takes OpenVINO twice as long if 16 does not divide the channels.
    return (x * x).mean(dim=1, keepdim=True)

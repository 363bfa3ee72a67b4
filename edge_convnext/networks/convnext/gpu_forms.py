"""Graph forms for TensorRT: what its compiler fuses into the fewest kernels and bytes.

The widest tensor of a block, [N, H, W, 4C], decides the block's cost on a GPU. Each form below
moves it fewer times than the paper's order of operators, for a reason found in the compiled
plans of TensorRT for RTX (benchmarks/README.md):

- `mixed`: a matrix product for pwconv1 and a convolution for pwconv2, which fuses with the
  residual addition.
- `expand`: `mixed`, and GRN's norms are spread over the map before their mean over channels. The
  mean is then computed inside the kernel that scales the map, not in a separate one.
- `weights`: convolutions, and GRN scales pwconv2's weights instead of the map. These weights are
  computed per image, so the batch is 1. `product`: the same for any batch, as a batched product.
- `late`: `weights` with a matrix product for pwconv1; INT8 then stores its output only once.
  `late_product`: the same for any batch.

The best form depends on the stage: early stages have large maps and small weights. A name of two
parts uses the first form in the first two stages (`late`: three), or in the stated number of
stages, and the second form in the rest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_convnext.networks.convnext.forms import (
    BlockForm,
    FoldedBlock,
    Form,
    ScaleNHWC,
    pointwise_conv,
)
from edge_convnext.networks.convnext.modules import EPS, ChannelLayerNorm, LayerNorm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_convnext.networks.convnext.form_names import GpuFormName

__all__ = ["GPU_FORMS"]


def mixed(block: FoldedBlock, x: Tensor) -> Tensor:
    """Matrix product, then convolution: the residual addition fuses with the convolution."""
    y: Tensor = block.norm(block.dwconv(x).permute(0, 2, 3, 1))  # [N, H, W, C]
    y = block.grn(block.act(block.pwconv1(y)))
    y = block.pwconv2(y.permute(0, 3, 1, 2))
    return x + y


def late_weights(block: FoldedBlock, x: Tensor) -> Tensor:
    """Matrix product for pwconv1; GRN scales pwconv2's weights instead of the map."""
    y: Tensor = block.norm(block.dwconv(x).permute(0, 2, 3, 1))  # [N, H, W, C]
    return x + _scale_pwconv2(block, block.act(block.pwconv1(y)).permute(0, 3, 1, 2))


def scaled_weights(block: FoldedBlock, x: Tensor) -> Tensor:
    """NCHW after the norm; GRN scales pwconv2's weights instead of the map."""
    y: Tensor = block.norm(block.dwconv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return x + _scale_pwconv2(block, block.act(block.pwconv1(y)))


def _scale_pwconv2(block: FoldedBlock, y: Tensor) -> Tensor:
    """Apply pwconv2, [N, 4C, H, W] -> [N, C, H, W]; in V2, GRN scales its weights."""
    scale = None if isinstance(block.grn, nn.Identity) else block.grn(y)
    z: Tensor = block.pwconv2(y, scale)
    return z


class ExpandedScaleNHWC(ScaleNHWC):
    """`ScaleNHWC`, with the mean over channels computed at every position of the map."""

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        norm = torch.linalg.vector_norm(wide, dim=(1, 2), keepdim=True)  # [N, 1, 1, C]
        mean = norm.expand_as(wide).mean(dim=-1, keepdim=True)  # [N, H, W, 1]
        scale: Tensor = (self.gamma * (norm / (mean + EPS)) + 1.0).to(x.dtype)
        return x * scale


class WeightScale(ScaleNHWC):
    """GRN's scale of one image's channels, spread over pwconv2's outputs: [C, 4C, 1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        norm = _map_norm(x)  # [1, 4C]
        outputs = norm.shape[1] // 4
        spread = norm.reshape(1, -1, 1, 1).expand(outputs, -1, -1, -1)
        relative = spread / (spread.mean(dim=1, keepdim=True) + EPS)
        return (self.gamma.view(1, -1, 1, 1) * relative + 1.0).to(x.dtype)


class BatchedWeightScale(ScaleNHWC):
    """GRN's scale of each image's channels, spread over pwconv2's outputs: [N, C, 4C]."""

    def forward(self, x: Tensor) -> Tensor:
        norm = _map_norm(x)  # [N, 4C]
        outputs = norm.shape[1] // 4
        spread = norm.unsqueeze(1).expand(-1, outputs, -1)
        relative = spread / (spread.mean(dim=2, keepdim=True) + EPS)
        return (self.gamma * relative + 1.0).to(x.dtype)


def _map_norm(x: Tensor) -> Tensor:
    """L2 norm of each channel's map, [N, C, H, W] -> [N, C]; the reduction runs in NHWC."""
    norm: Tensor = torch.linalg.vector_norm(x.permute(0, 2, 3, 1).float(), dim=(1, 2))
    return norm


class ScaledConv(nn.Conv2d):
    """A 1x1 convolution of one image whose weights are scaled."""

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        weight = self.weight if scale is None else self.weight * scale
        return functional.conv2d(x, weight, self.bias)


class ScaledProduct(nn.Linear):
    """A 1x1 convolution of [N, C, H, W] as a matrix product with weights per image."""

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        n, _, h, w = x.shape
        weight = self.weight if scale is None else self.weight * scale  # [N, C, 4C]
        rows = x.permute(0, 2, 3, 1).reshape(n, h * w, -1)
        y = rows @ weight.transpose(-1, -2) + self.bias  # [N, HW, C]
        return y.reshape(n, h, w, -1).permute(0, 3, 1, 2)


def _norm(width: int) -> nn.Module:
    return LayerNorm(width, affine=False)


_MIXED = BlockForm(mixed, nn.Linear, _norm, ScaleNHWC, pointwise_conv)
_EXPAND = replace(_MIXED, grn=ExpandedScaleNHWC)
_WEIGHTS = BlockForm(
    scaled_weights,
    pointwise_conv,
    _norm,
    WeightScale,
    lambda before, after: ScaledConv(before, after, 1),
)
_LATE = replace(_WEIGHTS, join=late_weights, pointwise=nn.Linear)
_LATE_PRODUCT = replace(_LATE, grn=BatchedWeightScale, pwconv2=ScaledProduct)
_PRODUCT = replace(_WEIGHTS, grn=BatchedWeightScale, pwconv2=ScaledProduct)


def _form(*blocks: BlockForm) -> Form:
    first, second, third, fourth = blocks
    return Form(
        blocks=(first, second, third, fourth),
        stem_norm=ChannelLayerNorm,
        downsample_norm=lambda width: ChannelLayerNorm(width, affine=False),
    )


GPU_FORMS: Mapping[GpuFormName, Form] = {
    "mixed": _form(*[_MIXED] * 4),
    "expand": _form(*[_EXPAND] * 4),
    "weights_expand": _form(_WEIGHTS, _WEIGHTS, _EXPAND, _EXPAND),
    "weights_mixed": _form(_WEIGHTS, _WEIGHTS, _MIXED, _MIXED),
    "late": _form(*[_LATE] * 4),
    "late_mixed": _form(_LATE, _LATE, _LATE, _MIXED),
    "late_product_mixed": _form(_LATE_PRODUCT, _LATE_PRODUCT, _LATE_PRODUCT, _MIXED),
    "late_product2_mixed": _form(_LATE_PRODUCT, _LATE_PRODUCT, _MIXED, _MIXED),
    "product_expand": _form(_PRODUCT, _PRODUCT, _EXPAND, _EXPAND),
    "product3_expand": _form(_PRODUCT, _PRODUCT, _PRODUCT, _EXPAND),
    "product_mixed": _form(_PRODUCT, _PRODUCT, _MIXED, _MIXED),
}

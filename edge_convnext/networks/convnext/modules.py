"""ConvNeXt V1 and V2 as torch modules, written from the papers.

Sources: arXiv 2201.03545 (V1), arXiv 2301.00808 (V2). Inside a block, modules use NHWC as the
papers do. Images and feature maps between blocks are NCHW; a graph form may keep the maps in
NHWC too.

    stem      Conv 4x4 stride 4 -> LayerNorm over channels
    stage i   [LayerNorm over channels -> Conv 2x2 stride 2] -> blocks
    block     x + DropPath(pwconv2(GRN(GELU(pwconv1(LayerNorm(dwconv7x7(x)))))))
    head      global average pool -> LayerNorm -> Linear

V1 has no GRN; a LayerScale per channel follows pwconv2 instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_convnext.networks.layers import DropPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_convnext.networks.convnext.sizes import Architecture

__all__ = ["EPS", "PAPER", "ChannelLayerNorm", "ConvNeXt", "LayerNorm", "Parts", "patch_conv"]

EPS = 1e-6  # epsilon of every LayerNorm and of GRN, as in the reference code
LAYER_SCALE_INIT = 1e-6


class LayerNorm(nn.LayerNorm):
    """LayerNorm over the last axis, with reductions in float32 for inputs of any dtype."""

    def __init__(self, channels: int, affine: bool = True) -> None:
        super().__init__(channels, eps=EPS, elementwise_affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [..., C]."""
        weight = None if self.weight is None else self.weight.float()
        bias = None if self.bias is None else self.bias.float()
        y = functional.layer_norm(x.float(), self.normalized_shape, weight, bias, self.eps)
        return y.to(x.dtype)


class ChannelLayerNorm(LayerNorm):
    """LayerNorm over the channels of an NCHW map: [N, C, H, W] -> [N, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [N, C, H, W] over C."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GlobalResponseNorm(nn.Module):
    """GRN over [N, H, W, C]: y = gamma * (x * n(x)) + beta + x (arXiv 2301.00808, section 4).

    n(x) is the L2 norm of each channel's map divided by the mean of these norms.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(x.float(), dim=(1, 2), keepdim=True)  # [N, 1, 1, C]
        relative = (norm / (norm.mean(dim=-1, keepdim=True) + EPS)).to(x.dtype)
        return self.gamma * (x * relative) + self.beta + x


class LayerScale(nn.Module):
    """V1's factor per channel over [N, H, W, C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), LAYER_SCALE_INIT))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """One residual block: [N, C, H, W] -> [N, C, H, W]."""

    def __init__(self, width: int, version: int, drop_path_rate: float) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = LayerNorm(width)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.grn = GlobalResponseNorm(4 * width) if version == 2 else None
        self.pwconv2 = nn.Linear(4 * width, width)
        self.layer_scale = LayerScale(width) if version == 1 else None
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dwconv(x).permute(0, 2, 3, 1)  # [N, H, W, C]
        y = self.act(self.pwconv1(self.norm(y)))  # [N, H, W, 4C]
        if self.grn is not None:
            y = self.grn(y)
        y = self.pwconv2(y)
        if self.layer_scale is not None:
            y = self.layer_scale(y)
        y = self.drop_path(y.permute(0, 3, 1, 2))
        return x + y


@dataclass(frozen=True)
class Parts:
    """Makers of the modules that a graph form may write differently."""

    block: Callable[[int, int, int, float], nn.Module]  # stage, width, version, drop path rate
    stem_norm: Callable[[int], nn.Module]  # over the channels of a map between blocks
    downsample_norm: Callable[[int], nn.Module]  # over the channels of a map between blocks
    head_norm: Callable[[int], nn.Module]  # over [N, C]
    stem_conv: Callable[[int, int, int], nn.Module]  # channels in and out, kernel = stride
    downsample_conv: Callable[[int, int, int], nn.Module]  # channels in and out, kernel = stride
    map_axes: tuple[int, int] = (2, 3)  # height and width of a map between blocks


def patch_conv(channels_in: int, channels_out: int, size: int) -> nn.Module:
    """A convolution of [N, C, H, W] whose patches don't overlap."""
    return nn.Conv2d(channels_in, channels_out, size, stride=size)


PAPER = Parts(
    lambda _stage, width, version, drop_path_rate: Block(width, version, drop_path_rate),
    ChannelLayerNorm,
    ChannelLayerNorm,
    LayerNorm,
    patch_conv,
    patch_conv,
)


class Stem(nn.Module):
    """Patchify: [N, in_channels, H, W] -> [N, C, H/4, W/4]."""

    def __init__(self, in_channels: int, width: int, parts: Parts) -> None:
        super().__init__()
        self.conv = parts.stem_conv(in_channels, width, 4)
        self.norm = parts.stem_norm(width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y


class Downsample(nn.Module):
    """Downsampling between two stages: [N, C, H, W] -> [N, C', H/2, W/2]."""

    def __init__(self, before: int, after: int, parts: Parts) -> None:
        super().__init__()
        self.norm = parts.downsample_norm(before)
        self.conv = parts.downsample_conv(before, after, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(self.norm(x))
        return y


class Stage(nn.Module):
    """An optional downsampling and blocks of one width."""

    def __init__(self, downsample: Downsample | None, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.downsample = downsample
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks(x if self.downsample is None else self.downsample(x))
        return y


class Head(nn.Module):
    """The classifier: [N, C, H, W] -> logits [N, num_classes]."""

    def __init__(self, width: int, num_classes: int, parts: Parts) -> None:
        super().__init__()
        self.norm = parts.head_norm(width)
        self.fc = nn.Linear(width, num_classes)
        self._map_axes = parts.map_axes

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(self.norm(x.mean(dim=self._map_axes)))
        return y


class ConvNeXt(nn.Module):
    """ConvNeXt: images float32[N, in_channels, H, W] -> logits float32[N, num_classes].

    Height and width are at least 32.

    Args:
        architecture: Depths, widths, classes and channels.
        drop_path_rate: Stochastic depth rate of the last block; it rises linearly from 0.
        parts: The paper's modules, or those of a graph form (forms.py).
    """

    def __init__(
        self, architecture: Architecture, drop_path_rate: float = 0.0, parts: Parts = PAPER
    ) -> None:
        super().__init__()
        self.architecture = architecture
        depths, widths = architecture.depths, architecture.widths
        rates = torch.linspace(0, drop_path_rate, sum(depths), device="cpu").tolist()
        self.stem = Stem(architecture.in_channels, widths[0], parts)
        stages = []
        for index, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            downsample = Downsample(widths[index - 1], width, parts) if index else None
            first = sum(depths[:index])
            blocks = [
                parts.block(index, width, architecture.version, rate)
                for rate in rates[first : first + depth]
            ]
            stages.append(Stage(downsample, blocks))
        self.stages = nn.Sequential(*stages)
        self.head = Head(widths[-1], architecture.num_classes, parts)
        self.apply(_init_weights)

    def forward(self, images: Tensor) -> Tensor:
        """Classify a batch of preprocessed images."""
        logits: Tensor = self.head(self.stages(self.stem(images)))
        return logits


def _init_weights(module: nn.Module) -> None:
    """Draw weights from a truncated normal of std 0.02 and zero the biases, as both papers do."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

"""Conv2Former's modules, named as in the authors' code (github.com/HVision-NKU/Conv2Former)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from edge_convnext.networks.layers import ChannelNorm, DropPath, start_narrow

Size = tuple[list[int], list[int], int]  # depths, widths, the modulation's kernel


class _Modulation(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm, self.v = ChannelNorm(width), nn.Conv2d(width, width, 1)
        around = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.att = nn.Sequential(nn.Conv2d(width, width, 1), nn.GELU(), around)
        self.proj = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return self.proj(self.att(x) * self.v(x))  # type: ignore[no-any-return]


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm, self.fc1 = ChannelNorm(width), nn.Conv2d(width, inner, 1)
        self.pos = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.fc2 = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = gelu(self.fc1(self.norm(x)))
        return self.fc2(x + gelu(self.pos(x)))  # type: ignore[no-any-return]


class _Block(nn.Module):
    def __init__(self, width: int, kernel: int, rate: float) -> None:
        super().__init__()
        self.attn, self.mlp = _Modulation(width, kernel), _Mlp(width, 4 * width)
        self.layer_scale_1 = nn.Parameter(torch.full((width,), 1e-6))
        self.layer_scale_2 = nn.Parameter(torch.full((width,), 1e-6))
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.layer_scale_1[:, None, None] * self.attn(x))
        mixed: Tensor = x + self.drop_path(self.layer_scale_2[:, None, None] * self.mlp(x))
        return mixed


class Conv2Former(nn.Module):
    """images float32[N, C, H, W] -> logits float32[N, num_classes] (arXiv 2211.11943)."""

    def __init__(self, size: Size, channels: int, classes: int, drop: float) -> None:
        super().__init__()
        depths, widths, kernel = size
        half, rates = widths[0] // 2, torch.linspace(0, drop, sum(depths), device="cpu").tolist()
        stem = nn.Sequential(
            nn.Conv2d(channels, half, 3, 2, 1, bias=False), nn.GELU(), nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 3, 1, 1, bias=False), nn.GELU(), nn.BatchNorm2d(half),
            nn.Conv2d(half, widths[0], 2, 2, bias=False),
        )  # fmt: skip
        pairs = pairwise(widths)
        halving = (nn.Sequential(ChannelNorm(a), nn.Conv2d(a, b, 2, 2)) for a, b in pairs)
        self.downsample_layers = nn.ModuleList([stem, *halving])
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(width, kernel, rates.pop(0)) for _ in range(depth)))
            for depth, width in zip(depths, widths, strict=True)
        )
        self.head = nn.Sequential(nn.Conv2d(widths[-1], 1280, 1), nn.GELU(), ChannelNorm(1280))
        self.pred = nn.Linear(1280, classes)
        start_narrow(self)

    def forward(self, x: Tensor) -> Tensor:
        """Run images to logits."""
        for halve, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(halve(x))
        return self.pred(self.head(x).mean((2, 3)))  # type: ignore[no-any-return]

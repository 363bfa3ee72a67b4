"""Makers of small modules, as `networks.made` is given them by libraries and by users."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.shape import MadeShape


class Net(nn.Module):
    """A convolution, a norm, positions for one size of images, and a classifier or two."""

    def __init__(self, classes, channels, size, heads=1, tied=False):
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 4, stride=4, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.positions = nn.Parameter(torch.zeros(1, (size // 4) ** 2 + 1, 8))
        self.mix = nn.Linear(8, 8)
        self.again = nn.Linear(8, 8)
        if tied:
            self.again.weight = self.mix.weight
        self.heads = nn.ModuleList(nn.Linear(8, classes) for _ in range(heads))
        self.register_buffer("index", torch.arange(8))
        self.register_buffer("scale", torch.full((8,), 0.5), persistent=False)

    def forward(self, images):
        x = torch.relu(self.norm(self.stem(images))).flatten(2).transpose(1, 2)
        x = (x + self.positions[:, 1:]) * self.scale
        x = (x + self.again(torch.relu(self.mix(x))))[:, :, self.index].mean(1)
        return torch.stack([head(x) for head in self.heads]).mean(0)


@dataclass(frozen=True)
class NetMaker:
    """Makes `Net`."""

    heads: int = 1
    tied: bool = False
    size: int = 32
    fixed: bool = False  # whether there is a single number of channels

    @property
    def label(self):
        return "the toy's net"

    @property
    def image_size(self):
        return self.size

    def make(self, num_classes, in_channels, image_size=None, drop_path=0.0):
        if self.fixed and in_channels != 3:
            raise NotSoError("three channels alone")
        return Net(num_classes, in_channels, image_size or self.size, self.heads, self.tied)

    def resize(self, network, image_size):
        if image_size != 16:
            raise NotSoError(f"not to {image_size} px")
        old = network.positions.data
        network.positions = nn.Parameter(torch.cat([old[:, :1], old[:, 1:17]], 1))

    def fingerprint(self):
        return "toy 1"


def shape_of_net(classes=5, channels=3, **fields):
    return MadeShape("toy_made", "toy_made:net", classes, channels, NetMaker(**fields))

"""SqueezeNet 1.1 (arXiv 1602.07360 and its authors' release 1.1): a network that nobody here knows.

It enters by `--model module:support.squeezenet:squeezenet1_1`.
"""

from __future__ import annotations

import torch
from torch import nn

# Squeezed channels and channels of each of the two branches, with a pooling before some.
_FIRES = ((16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256),
          (64, 256))  # fmt: skip


class Fire(nn.Module):
    """Few channels, then two branches side by side."""

    def __init__(self, channels, squeezed, branch):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, branch, 1)
        self.expand3x3 = nn.Conv2d(squeezed, branch, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        return torch.cat((torch.relu(self.expand1x1(x)), torch.relu(self.expand3x3(x))), 1)


def squeezenet1_1(num_classes=1000, in_channels=3):
    """The network, undrawn but for torch's own initial values."""
    layers = [nn.Conv2d(in_channels, 64, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
    channels = 64
    for fire in _FIRES:
        if fire is None:
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        else:
            layers.append(Fire(channels, *fire))
            channels = 2 * fire[1]
    head = (nn.Dropout(), nn.Conv2d(channels, num_classes, 1), nn.ReLU())
    return nn.Sequential(*layers, *head, nn.AdaptiveAvgPool2d(1), nn.Flatten())

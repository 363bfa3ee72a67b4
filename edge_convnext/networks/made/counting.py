"""Parameters and multiply-accumulates of a network that is made outside of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.utils.flop_counter import FlopCounterMode

from edge_convnext.networks.made.skeleton import make_skeleton, run_once

if TYPE_CHECKING:
    from edge_convnext.core.image_size import ImageSize
    from edge_convnext.networks.made.maker import Maker

__all__ = ["count_macs", "count_params"]


def count_params(maker: Maker, num_classes: int, in_channels: int) -> int:
    """Number of trainable parameters, those that share a tensor once."""
    network = make_skeleton(maker, num_classes, in_channels)
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(maker: Maker, num_classes: int, in_channels: int, image_size: ImageSize) -> int:
    """Multiply-accumulates of one image: convolutions and products, attention's among them.

    Source:
        torch 2.13, `utils/flop_counter.py`, which counts two operations each.

    Raises:
        NotSoError: The network can't be run on such images.
    """
    size = None if image_size == maker.image_size else image_size
    with FlopCounterMode(display=False) as counted:
        run_once(maker, num_classes, in_channels, size)
    return int(counted.get_total_flops()) // 2 // 2  # two images, two operations

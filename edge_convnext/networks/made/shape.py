"""The shape of a network that is made outside of this package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from edge_convnext.core.image_size import ImageSize
from edge_convnext.networks.made.maker import Maker

__all__ = ["MadeShape"]


@dataclass(frozen=True)
class MadeShape:
    """A network that a maker makes: `core.artifacts.NetworkShape`."""

    family: str
    name: str  # in full, such as `timm:resnet18`
    num_classes: int
    in_channels: int
    maker: Maker

    def count_params(self) -> int:
        """Number of trainable parameters; buffers are none."""
        return _count_params(self)

    def count_macs(self, image_size: ImageSize) -> int:
        """Multiply-accumulates of one square image, its side in pixels.

        Convolutions and products are counted, those of attention among them.
        """
        return _count_macs(self, image_size)


@lru_cache(maxsize=64)
def _count_params(shape: MadeShape) -> int:
    from edge_convnext.networks.made.counting import count_params

    return count_params(shape.maker, shape.num_classes, shape.in_channels)


@lru_cache(maxsize=256)
def _count_macs(shape: MadeShape, image_size: ImageSize) -> int:
    from edge_convnext.networks.made.counting import count_macs

    return count_macs(shape.maker, shape.num_classes, shape.in_channels, image_size)

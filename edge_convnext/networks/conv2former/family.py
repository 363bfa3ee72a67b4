"""Conv2Former, N to L (arXiv 2211.11943), as a network family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.networks.generic import ListedFamily, ModuleShape

if TYPE_CHECKING:
    from torch import nn

    from edge_convnext.core.image_size import ImageSize
    from edge_convnext.networks.protocol import NetworkFamily

_SIZES = {  # depths, widths, the modulation's kernel
    "conv2former_n": ([2, 2, 8, 2], [64, 128, 256, 512], 7),
    "conv2former_t": ([3, 3, 12, 3], [72, 144, 288, 576], 11),
    "conv2former_s": ([4, 4, 32, 4], [72, 144, 288, 576], 11),
    "conv2former_b": ([4, 4, 34, 4], [96, 192, 384, 768], 11),
    "conv2former_l": ([4, 4, 48, 4], [128, 256, 512, 1024], 11),
}


class Conv2FormerShape(ModuleShape):
    """One size of the paper."""

    family = "conv2former"

    def make(self, drop_path: float = 0.0, image_size: ImageSize = 224) -> nn.Module:
        """See `modules`."""
        from edge_convnext.networks.conv2former.modules import Conv2Former

        return Conv2Former(_SIZES[self.name], self.in_channels, self.num_classes, drop_path)


FAMILY: NetworkFamily = ListedFamily("Conv2Former", tuple(_SIZES), Conv2FormerShape)

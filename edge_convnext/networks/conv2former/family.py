"""Conv2Former, N to L (arXiv 2211.11943), as a network family."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_convnext.core.image_size import sides_of
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

    def count_params(self) -> int:
        """Number of trainable parameters, without torch."""
        return sum(weights + others for weights, others, _ in self._layers())

    def count_macs(self, image_size: ImageSize) -> int:
        """Multiply-accumulates of one image, without torch."""
        height, width = sides_of(image_size)
        sides = [((height + 1) // 2, (width + 1) // 2)]  # the first convolution pads
        for _ in range(4):
            sides.append((sides[-1][0] // 2, sides[-1][1] // 2))
        positions = [1, *(one * other for one, other in sides)]
        return sum(weights * positions[at] for weights, _, at in self._layers())

    def _layers(self) -> Iterator[tuple[int, int, int]]:
        """Weights of products, parameters beside them, halvings before; of none: one position."""
        depths, widths, kernel = _SIZES[self.name]
        half, last = widths[0] // 2, widths[-1]
        yield half * 9 * (self.in_channels + half), 4 * half, 1
        yield 4 * half * widths[0], 0, 2
        for at, (depth, width) in enumerate(zip(depths, widths, strict=True), start=2):
            block = 11 * width**2 + width * (kernel**2 + 36)
            yield depth * block, depth * 19 * width, at
            if width != last:
                yield 8 * width**2, 4 * width, at + 1
        yield 1280 * last, 3 * 1280, 5
        yield 1280 * self.num_classes, self.num_classes, 0


FAMILY: NetworkFamily = ListedFamily("Conv2Former", tuple(_SIZES), Conv2FormerShape)

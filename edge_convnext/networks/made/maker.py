"""What makes a module: a function, with all that it is called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import nn

    from edge_convnext.core.image_size import ImageSize

__all__ = ["Maker", "NotSoError"]


class NotSoError(Exception):
    """A maker has no such network: of these channels, classes or size. The text says why."""


class Maker(Protocol):
    """A function of another package or of the user, with all that it is called with.

    Makers are values: frozen, hashable, and equal where they make the same.
    """

    def __hash__(self) -> int:
        """Equal makers have equal hashes."""
        ...

    @property
    def label(self) -> str:
        """For messages: `timm's resnet18`."""
        ...

    @property
    def image_size(self) -> ImageSize:
        """Height and width of the images that the network is usually shown, in pixels."""
        ...

    def make(
        self,
        num_classes: int,
        in_channels: int,
        image_size: ImageSize | None = None,
        drop_path: float = 0.0,
    ) -> nn.Module:
        """A new network, images float32[N, C, H, W] to logits float32[N, num_classes].

        Args:
            num_classes: Number of logits.
            in_channels: Channels of an image.
            image_size: Height and width of the images, for networks that have positions; None:
                the usual ones.
            drop_path: Rate of stochastic depth; what has none ignores it.

        Raises:
            NotSoError: There is no such network.
        """
        ...

    def resize(self, network: nn.Module, image_size: ImageSize) -> None:
        """Bring a network with weights to images of another size; most need nothing.

        Raises:
            NotSoError: It takes images of one size.
        """
        ...

    def fingerprint(self) -> str:
        """What decides the network beside its tensors: a version, a configuration, source code."""
        ...

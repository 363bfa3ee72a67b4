"""Modules with their weights, at the size of the images that they will be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import LoadError, reason_of
from edge_convnext.core.image_size import show_size, sides_of
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.shape import MadeShape
from edge_convnext.networks.made.sizes import fitting_size
from edge_convnext.networks.made.skeleton import make_unfilled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from edge_convnext.core.image_size import ImageSize

__all__ = ["fill"]


def fill(shape: MadeShape, state: Mapping[str, Tensor], image_size: ImageSize) -> nn.Module:
    """Make a network, load its weights, and bring its positions to the size of the images.

    Args:
        shape: Shape of the network.
        state: Its state dict, of whatever image size it was trained at.
        image_size: Height and width of the images, in pixels.

    Returns:
        The network in evaluation mode.

    Raises:
        LoadError: The network has other tensors than the state dict, or takes no images of this
            size.
    """
    maker = shape.maker
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    try:
        stored = fitting_size(maker, shape.num_classes, shape.in_channels, shapes)
        network = make_unfilled(maker, shape.num_classes, shape.in_channels, stored)
        own = network.state_dict()
        kept = {n: tensor.reshape(own[n].shape) if n in own and tensor.numel() == own[n].numel()
                else tensor for n, tensor in state.items()}  # fmt: skip
        counters = {
            name: tensor for name, tensor in own.items() if name.endswith("num_batches_tracked")
        }
        network.load_state_dict({**counters, **kept})
        if image_size != (stored or maker.image_size):
            maker.resize(network, image_size)
            _require_size(network, shape.in_channels, image_size)
    except NotSoError as error:
        raise LoadError(f"{shape.name}: {error}") from error
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise LoadError(
            f"{shape.name}: the weights don't fit the network as it is made here ({reason}); the "
            "code or the version that makes it has changed: load the checkpoint again"
        ) from error
    return network.eval()


def _require_size(network: nn.Module, channels: int, image_size: ImageSize) -> None:
    """Refuse a size that the network was not made for, by running it on a blank image."""
    import torch

    try:
        with torch.no_grad():
            network(torch.zeros(1, channels, *sides_of(image_size)))
    except Exception as error:  # torch's errors of shapes, and what a user's code raises
        raise NotSoError(
            f"can't be run on {show_size(image_size)} pixels ({reason_of(error)}); leave "
            "--image-size out, or pass one that it takes"
        ) from error

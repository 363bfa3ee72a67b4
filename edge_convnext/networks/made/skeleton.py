"""Modules without their weights: to be counted, looked at, or filled from a file."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from edge_convnext.core.image_size import ImageSize, sides_of
from edge_convnext.networks.made.maker import NotSoError

if TYPE_CHECKING:
    from torch import Tensor

    from edge_convnext.networks.made.maker import Maker

__all__ = ["find_first_convolution", "make_skeleton", "make_unfilled", "run_blank", "run_once"]


def make_unfilled(
    maker: Maker, num_classes: int, in_channels: int, image_size: ImageSize | None = None
) -> nn.Module:
    """A network on the CPU, in evaluation mode, whose weights are still to be filled in.

    What it computes of its own, such as tables of positions, is there.

    Raises:
        NotSoError: There is no such network.
    """
    with torch.random.fork_rng(devices=[]):
        return maker.make(num_classes, in_channels, image_size).eval()


def make_skeleton(
    maker: Maker, num_classes: int, in_channels: int, image_size: ImageSize | None = None
) -> nn.Module:
    """A network in evaluation mode to look at, without memory for its tensors if it can be so.

    Raises:
        NotSoError: There is no such network.
    """
    places: tuple[AbstractContextManager[Any], ...] = (torch.device("meta"), nullcontext())
    for place in places:
        try:
            with torch.random.fork_rng(devices=[]), place:
                return maker.make(num_classes, in_channels, image_size).eval()
        except NotSoError:
            raise
        except Exception as error:  # code that reads a value while the network is made
            failure = error
    raise failure


def run_once(maker: Maker, num_classes: int, in_channels: int, image_size: ImageSize | None) -> Any:
    """What a network returns for two blank images; its values mean nothing.

    Raises:
        NotSoError: It can't be made, or can't be run on such images.
    """
    network = make_skeleton(maker, num_classes, in_channels, image_size)
    size = image_size or maker.image_size
    try:
        return run_blank(network, in_channels, size)
    except Exception as error:
        if _device_of(network).type == "cpu":
            raise _not_run(size, error) from error
    network = make_unfilled(maker, num_classes, in_channels, image_size)
    try:
        return run_blank(network, in_channels, size)
    except Exception as error:
        raise _not_run(size, error) from error


def find_first_convolution(maker: Maker, num_classes: int, in_channels: int) -> str | None:
    """Name of the weight that reads the images: of the one convolution that gets them as they are.

    None where there are several, where it has groups, or where something is computed before it.

    Raises:
        NotSoError: There is no such network.
    """
    network = make_skeleton(maker, num_classes, in_channels)
    names: dict[nn.Module, str] = {
        one: ".".join(filter(None, (name, "weight"))) if one.groups == 1 else ""
        for name, one in network.named_modules()
        if isinstance(one, nn.Conv2d)
    }
    images: list[object] = []
    found: list[str] = []

    def remember(_: nn.Module, inputs: tuple[object, ...]) -> None:
        images[:] = inputs[:1]

    def look(convolution: nn.Module, inputs: tuple[object, ...]) -> None:
        if inputs and images and inputs[0] is images[0]:
            found.append(names[convolution])

    network.register_forward_pre_hook(remember)
    for one in names:
        one.register_forward_pre_hook(look)
    try:
        run_blank(network, in_channels, maker.image_size)
    except Exception:  # the code that made it: `run_once` tells what it says
        return None
    return found[0] or None if len(found) == 1 else None


def run_blank(network: nn.Module, in_channels: int, size: ImageSize) -> Any:
    """What a network returns for two blank images, on the device where it lies."""
    images = torch.zeros(2, in_channels, *sides_of(size), device=_device_of(network))
    with torch.no_grad():
        return network(images)


def _device_of(network: nn.Module) -> torch.device:
    first: Tensor | None = next(network.parameters(), None)
    return first.device if first is not None else torch.device("cpu")


def _not_run(size: ImageSize, error: Exception) -> NotSoError:
    height, width = sides_of(size)
    return NotSoError(f"can't be run on {height} x {width} pixels ({error})")

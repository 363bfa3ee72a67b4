"""Whether a module is a classifier of images: one tensor out, a row an image, a column a class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from torch import Tensor

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.skeleton import run_once

if TYPE_CHECKING:
    from edge_convnext.networks.made.maker import Maker
from edge_convnext.networks.made.shape import MadeShape

__all__ = ["check_output"]

_CLASSES = 7  # that a network is asked for


def check_output(shape: MadeShape, source: str) -> None:
    """Run a network once on blank images of its usual size, and look at what it returns.

    Args:
        shape: Shape of the network; its number of classes is not looked at.
        source: Names it in messages.

    Raises:
        LoadError: It returns anything but one tensor [images, classes], or can't be run.
    """
    if told := _problem(shape.maker, shape.in_channels):
        raise LoadError(f"{source}: {told}")


@lru_cache(maxsize=64)
def _problem(maker: Maker, channels: int) -> str | None:
    try:
        output = run_once(maker, _CLASSES, channels, None)
    except NotSoError as error:
        return str(error)
    if isinstance(output, Tensor):
        return _of_tensor(output, maker)
    if isinstance(output, Mapping | list | tuple):
        return (
            f"{maker.label} returns {len(output)} outputs ({_names(output)}), and one is built: a "
            "tensor [images, classes]; pass a network, or a function that returns one, whose "
            "forward returns the logits alone"
        )
    return (
        f"{maker.label} returns a {type(output).__name__}, not a tensor [images, classes]; pass a "
        "network whose forward returns the logits"
    )


def _names(output: Any) -> str:
    if isinstance(output, Mapping):
        return ", ".join(str(key)[:40] for key in list(output)[:6])
    shapes = (list(one.shape) if isinstance(one, Tensor) else type(one).__name__ for one in output)
    return ", ".join(map(str, list(shapes)[:6]))


def _of_tensor(output: Tensor, maker: Maker) -> str | None:
    if output.dim() == 2 and output.shape[0] == 2:
        return None
    return (
        f"{maker.label} returns {list(output.shape)} for 2 images, not [2, classes]: it is no "
        "classifier of images; detection, segmentation and features are not built here"
    )

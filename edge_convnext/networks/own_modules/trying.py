"""What a network of the user's own takes and returns, by running it on blank images.

It is run as its function makes it without being told a size: what another size of the function
would take is no fact about this network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

from torch import Tensor, nn

from edge_convnext.core.errors import LoadError
from edge_convnext.core.image_size import ImageSize, show_size
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.outline import follow
from edge_convnext.networks.made.skeleton import make_skeleton, run_once
from edge_convnext.networks.own_modules.code import CodeMaker

__all__ = ["Tried", "try_network"]

# Images are tried in this order, behind the size that the function states; most networks take the
# first.
_SIZES = (224, 32, 64, 28, 96, 128, 160, 192, 256, 48, 112, 299, 320, 384, 512)
_CHANNELS = (3, 1, 4)
_CLASSES = 7  # that are asked for


@dataclass(frozen=True)
class Tried:
    """A network as its function makes it."""

    maker: CodeMaker  # with the size of images that it takes
    classes: int | None  # None: as many as are asked for
    channels: int | None  # None: as many as are asked for


@lru_cache(maxsize=16)
def try_network(maker: CodeMaker) -> Tried:
    """Find what a network takes.

    Raises:
        LoadError: It takes images neither of the size that its function states, nor of a usual one.
    """
    try:
        axes = follow(maker)
    except NotSoError as error:
        raise LoadError(f"module:{maker.target}: {error}") from error
    sizes = _list_sizes(maker)
    first: NotSoError | None = None
    for number in (_CHANNELS[0],) if axes.channels else _list_channels(maker):
        for size in sizes:
            sized = replace(maker, size=size)
            try:
                output = run_once(sized, _CLASSES, number, None)
            except NotSoError as error:
                first = first or error
                continue
            fixed = output.shape[-1] if isinstance(output, Tensor) and not axes.classes else None
            return Tried(sized, fixed, None if axes.channels else number)
    others = ", ".join(map(show_size, sizes[1:]))
    raise LoadError(
        f"module:{maker.target}: {first}; nor on images of {others} px: if it takes another size, "
        "give the function a keyword image_size with that as its default"
    )


def _list_sizes(maker: CodeMaker) -> tuple[ImageSize, ...]:
    stated = maker.stated_size
    return tuple(dict.fromkeys((*(() if stated is None else (stated,)), *_SIZES)))


def _list_channels(maker: CodeMaker) -> Iterator[int]:
    """Numbers of channels that a network of one number may take; its first convolution says most.

    That is the first in the order of the module, which need not be the one that reads the images.
    """
    skeleton = make_skeleton(maker, _CLASSES, _CHANNELS[0])
    own = (one.in_channels for one in skeleton.modules() if isinstance(one, nn.Conv2d))
    yield from dict.fromkeys((*islice(own, 1), *_CHANNELS))

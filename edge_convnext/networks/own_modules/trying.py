"""What a network of the user's own takes and returns, by running it on blank images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from torch import Tensor

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.outline import follow
from edge_convnext.networks.made.skeleton import run_once
from edge_convnext.networks.own_modules.code import CodeMaker

__all__ = ["Tried", "try_network"]

# Images are tried in this order; most networks take the first.
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
        LoadError: It takes images of none of the usual sizes.
    """
    try:
        axes = follow(maker)
    except NotSoError as error:
        raise LoadError(f"module:{maker.target}: {error}") from error
    channels = _CHANNELS[:1] if axes.channels else _CHANNELS
    first: NotSoError | None = None
    for number in channels:
        for size in _SIZES:
            try:
                output = run_once(maker, _CLASSES, number, size)
            except NotSoError as error:
                first = first or error
                continue
            fixed = output.shape[-1] if isinstance(output, Tensor) and not axes.classes else None
            return Tried(replace(maker, size=size), fixed, None if axes.channels else number)
    raise LoadError(
        f"module:{maker.target}: {first}; nor on images of {', '.join(map(str, _SIZES[1:]))} px"
    )

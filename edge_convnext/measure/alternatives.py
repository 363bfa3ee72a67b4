"""Other ways to prepare images that a model may have been trained with, tried on labelled ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import Preprocess, ResizeMode
from edge_convnext.measure.chance import beats

__all__ = ["BGR", "Found", "Way", "find_better_way"]

Way: TypeAlias = tuple[Preprocess, bool]  # how to prepare images; whether in BGR order
Right: TypeAlias = Callable[[Way], NDArray[np.bool_]]  # bool[N]: which images are answered right

BGR = "BGR"  # as the name of a setting: no flag states it, the weights are to be changed
_FAR_BETTER = 0.05  # a share of the images
_SIZES = (64, 96, 128, 160, 192, 224, 256)  # pixels; of larger ones the answers differ little
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5,) * 3, (0.5,) * 3)
_UNIT = ((0.0,) * 3, (1.0,) * 3)
_BYTES = ((0.0,) * 3, (1 / 255,) * 3)  # 0..255, never scaled


@dataclass(frozen=True)
class Found:
    """A way that is right far more often, and by how much."""

    way: Way
    before: int  # images answered right
    after: int
    n_images: int
    tried: int

    def changed(self, now: Preprocess) -> tuple[str, ...]:
        """Names of the settings that differ from `now`, the order of colours left out."""
        names = ("image_size", "resize", "crop_pct", "mean", "std")
        return tuple(one for one in names if getattr(self.way[0], one) != getattr(now, one))

    def flags(self, now: Preprocess) -> str:
        """What states the way on a command line, of what differs from `now`."""
        return " ".join(
            f"--{name.replace('_', '-')} {_text(getattr(self.way[0], name))}"
            for name in self.changed(now)
        )


def find_better_way(
    right_with: Right, preprocess: Preprocess, names: Collection[str], orders: int = 1
) -> Found | None:
    """Change one setting after the other to what is right most often.

    The size comes first: most sizes that people train with are small, and quick to try. What was
    wrong together shows together, so that only the end is held against the beginning.

    Args:
        right_with: Which of the same labelled images are answered right, prepared in a given way.
        preprocess: As it is.
        names: Settings that may change, of `Preprocess` and `BGR`.
        orders: Of the classes, of which each way took the one that fits it best.

    Returns:
        None where no other way is right far more often for sure: at 95 % over all that were tried.
    """
    way: Way = (preprocess, False)
    first = right = right_with(way)
    tried = 0
    for others in (_other_sizes, _other_colours, _other_resizes):
        ways = [one for one in others(way, names) if one != way]
        answered = [(way, right), *((one, right_with(one)) for one in ways)]
        tried += len(ways)
        way, right = max(answered, key=lambda pair: int(pair[1].sum()))  # of equals, the present
    if tried == 0 or not beats(right, first, tried * orders, _FAR_BETTER):
        return None
    return Found(way, int(first.sum()), int(right.sum()), len(first), tried)


def _other_sizes(way: Way, names: Collection[str]) -> Iterator[Way]:
    if "image_size" in names:
        for size in _SIZES:
            yield replace(way[0], image_size=size), way[1]


def _other_colours(way: Way, names: Collection[str]) -> Iterator[Way]:
    preprocess, swapped = way
    if "mean" in names and "std" in names:
        for mean, std in (_IMAGENET, _HALF, _UNIT, _BYTES):
            yield replace(preprocess, mean=mean, std=std), swapped
    if BGR in names:
        yield preprocess, not swapped


def _other_resizes(way: Way, names: Collection[str]) -> Iterator[Way]:
    if "resize" in names:
        yield _other_resize(way[0]), way[1]


def _other_resize(preprocess: Preprocess) -> Preprocess:
    other: ResizeMode = "shortest" if preprocess.resize == "squash" else "squash"
    return replace(preprocess, resize=other, crop_pct=1.0)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        same = len(set(value)) == 1
        return ",".join(f"{one:.6g}" for one in (value[:1] if same else value))
    return f"{value:g}" if isinstance(value, float) else str(value)

"""Other preprocessing that a model may have been trained with, tried on labelled images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import Preprocess, ResizeMode
from edge_convnext.measure.chance import beats

__all__ = ["BGR", "Found", "Trials", "Way", "find_better_way"]

Way: TypeAlias = tuple[Preprocess, bool]  # preprocessing; True for channels in BGR order
# Called with a way and a number n; bool[n]: which of the first n images are answered right.
Right: TypeAlias = Callable[[Way, int], NDArray[np.bool_]]

BGR = "BGR"  # stands for a setting that has no flag: the weights have to be changed
_FAR_BETTER = 0.05  # as a share of the images
_HEAT = (6, 3)  # a first heat has a third of the images, and six at least
_SIZES = (64, 96, 128, 160, 192, 224, 256)  # pixels; answers differ little between larger sizes
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5,) * 3, (0.5,) * 3)
_UNIT = ((0.0,) * 3, (1.0,) * 3)
_BYTES = ((0.0,) * 3, (1 / 255,) * 3)  # mean and std for pixels of 0..255 that are not scaled


@dataclass(frozen=True)
class Trials:
    """Which settings are tried, and on how many images; or why none is."""

    names: tuple[str, ...] = ()
    n_images: int = 0
    why_none: str = ""
    left_out: tuple[str, ...] = ()  # settings that a build tries, and a check does not
    trained_here: bool = False  # `train` states what the model was trained with


@dataclass(frozen=True)
class Found:
    """Preprocessing that is right far more often, with the counts before and after."""

    way: Way
    before: int  # images answered right
    after: int
    n_images: int
    tried: int  # number of ways that were tried

    @property
    def explains(self) -> bool:
        """Whether it takes away at least half of the mistakes.

        A model that was trained too little, or on other data, may surely be right more often in
        some other way too, and stays poor. That is no sign of what it was trained with.
        """
        return 2 * (self.n_images - self.after) <= self.n_images - self.before

    def changed(self, now: Preprocess) -> tuple[str, ...]:
        """Names of the settings that differ from `now`, except the order of colours."""
        names = ("image_size", "resize", "crop_pct", "mean", "std")
        return tuple(one for one in names if getattr(self.way[0], one) != getattr(now, one))

    def flags(self, now: Preprocess) -> str:
        """The flags that state the settings that differ from `now`."""
        return " ".join(
            f"--{name.replace('_', '-')} {_text(getattr(self.way[0], name))}"
            for name in self.changed(now)
        )


def find_better_way(
    right_with: Right,
    n_images: int,
    preprocess: Preprocess,
    names: Collection[str],
    orders: int = 1,
) -> Found | None:
    """Change one setting after the other to the value that is right most often.

    The size comes first: most sizes that people train with are small, and quick to try. Several
    wrong settings may show only together, so only the final result is compared with the start. A
    value that another one surely beats on the first images is not tried on the rest.

    Args:
        right_with: Finds which of the first images are answered right, for a given way. The images
            are in random order.
        n_images: Number of the images.
        preprocess: Preprocessing as it is now.
        names: Names of the settings that may change: fields of `Preprocess`, and `BGR`.
        orders: Number of orders of the classes; each way took the one that fits it best.

    Returns:
        The best way; None if no other way is right far more often (95 % over all tries).
    """
    way: Way = (preprocess, False)
    first = right = right_with(way, n_images)
    tried = 0
    for others in (_other_sizes, _other_colours, _other_resizes):
        ways = [one for one in others(way, names) if one != way]
        left = _win_heat(right_with, n_images, way, ways)
        answered = [(way, right), *((one, right_with(one, n_images)) for one in left)]
        tried += len(ways)
        way, right = max(answered, key=lambda pair: int(pair[1].sum()))  # ties keep the present way
    if tried == 0 or not beats(right, first, tried * orders, _FAR_BETTER):
        return None
    return Found(way, int(first.sum()), int(right.sum()), len(first), tried)


def _win_heat(right_with: Right, n_images: int, now: Way, ways: Sequence[Way]) -> list[Way]:
    """The ways that none of the others, nor the present one, surely beats on the first images."""
    fewest, part = _HEAT
    count = min(n_images, max(fewest, n_images // part))
    right = {way: right_with(way, count) for way in (now, *ways)}
    leader = max(right.values(), key=lambda one: int(one.sum()))
    return [way for way in ways if not beats(leader, right[way])]


def _other_sizes(way: Way, names: Collection[str]) -> Iterator[Way]:
    if "image_size" in names:
        now = way[0]
        # Of a rectangle first its sides swapped, which is the usual mistake.
        for size in ((now.width, now.height), *_SIZES):
            yield replace(now, image_size=size), way[1]


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

"""Suggest other preprocessing with which a model is right far more often, if there is any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import Weights
from edge_convnext.data.calibration import draw_calibration
from edge_convnext.data.images import ImageSet
from edge_convnext.measure.alternatives import BGR, Found, Way, find_better_way
from edge_convnext.measure.answers import Answer, labels_of
from edge_convnext.networks.family import family_of

__all__ = [
    "QUICK",
    "THOROUGH",
    "Effort",
    "Suggest",
    "Suggestion",
    "suggest_way",
    "suggester",
]

_TRIED = 100  # most images that each other preprocessing is tried on
_FEWEST = 12  # with fewer images nothing can be shown at 95 % over so many tries


@dataclass(frozen=True)
class Effort:
    """The effort that may be spent on trying other preprocessing."""

    macs: float  # multiply-accumulates of all trials together
    ways: int  # cost of all trials, as a number of passes at the present image size
    names: tuple[str, ...]  # settings that may change


THOROUGH = Effort(5e11, 8, ("mean", "std", "resize", "image_size", BGR))  # ten seconds, two cores
QUICK = Effort(3.4e10, 5, ("mean", "std", BGR))  # two seconds


@dataclass(frozen=True)
class Suggestion:
    """Preprocessing that is right far more often, and the number of the class order that fits."""

    found: Found
    order: int


# Called with images, and with the index of each class's name in every order (see `suggest_way`).
Suggest: TypeAlias = Callable[[ImageSet, Sequence[NDArray[np.int64]]], Suggestion | None]


def suggester(weights: Weights, answer: Answer, seed: int, effort: Effort = THOROUGH) -> Suggest:
    """Bind `suggest_way` to one model, for callers that know only images and orders."""
    return lambda images, places: suggest_way(weights, images, answer, seed, effort, places)


def suggest_way(
    weights: Weights,
    images: ImageSet,
    answer: Answer,
    seed: int,
    effort: Effort = THOROUGH,
    places: Sequence[NDArray[np.int64]] = (),
) -> Suggestion | None:
    """Try the usual ways to preprocess images.

    Args:
        weights: Unfolded weights.
        images: Labelled images; of more than a hundred, a sample is used.
        answer: Answers of the model.
        seed: Seed of the sample.
        effort: Effort that may be spent.
        places: Index of each class's name in every order of the classes, int64[classes] each.
            Every way counts in the order that it fits best; without any, in the present order.

    Returns:
        The suggestion; None if no way is surely far more often right, or trying takes too long.
    """
    info = weights.info
    macs = weights.architecture.count_macs(info.preprocess.image_size)
    most = min(_TRIED, int(effort.macs / (macs * effort.ways)))
    if most < _FEWEST or len(images) < _FEWEST:
        return None
    shown = images if len(images) <= most else draw_calibration(images, None, most, seed).images
    shown = _shuffle(shown, seed)
    labels = labels_of(shown)
    wanted = [place[labels] for place in places] or [labels]

    def right(way: Way, count: int) -> list[NDArray[np.bool_]]:
        some = ImageSet(shown.samples[:count], shown.classes)
        try:
            answers = answer(some, None if way == (info.preprocess, False) else way)
        except Exception:  # a network's own: its positions, or a classifier, are of one size
            if way[0].image_size == info.preprocess.image_size:
                raise
            return [np.zeros(len(some), np.bool_) for _ in wanted]
        return [answers == one[:count] for one in wanted]

    best: dict[Way, int] = {}

    def right_in_best(way: Way, count: int) -> NDArray[np.bool_]:
        found = right(way, count)
        best[way] = max(range(len(found)), key=lambda index: int(found[index].sum()))
        return found[best[way]]

    barred = set() if info.in_channels == 3 else {BGR}
    if family_of(weights.architecture).source_graph(weights) is not None:
        barred.add("image_size")  # a graph has one
    allowed = [name for name in effort.names if name not in barred]
    found = find_better_way(right_in_best, len(shown), info.preprocess, allowed, len(wanted))
    return None if found is None else Suggestion(found, best[found.way])


def _shuffle(images: ImageSet, seed: int) -> ImageSet:
    """In random order: files are sorted by class, and the first ones are judged alone."""
    order = np.random.default_rng(seed).permutation(len(images))
    return ImageSet(tuple(images.samples[index] for index in order), images.classes)

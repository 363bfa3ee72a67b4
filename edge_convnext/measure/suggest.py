"""Suggest other preprocessing with which a model is right far more often, if there is any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import Weights
from edge_convnext.core.origins import TRAINED_BY
from edge_convnext.data.calibration import draw_calibration
from edge_convnext.data.images import ImageSet
from edge_convnext.measure.alternatives import BGR, Found, Trials, Way, find_better_way
from edge_convnext.measure.answers import Answer, labels_of
from edge_convnext.networks.family import family_of

__all__ = [
    "QUICK",
    "THOROUGH",
    "Effort",
    "Suggest",
    "Suggestion",
    "plan_trials",
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


def suggester(
    weights: Weights,
    answer: Answer,
    seed: int,
    effort: Effort = THOROUGH,
    pool: ImageSet | None = None,
) -> Suggest:
    """Bind `suggest_way` to one model, for callers that know only images and orders.

    `pool` has the images to draw from where a caller knows only a part of them.
    """
    return lambda images, places: suggest_way(
        weights, images if pool is None else pool, answer, seed, effort, places
    )


def plan_trials(weights: Weights, images: ImageSet, effort: Effort = THOROUGH) -> Trials:
    """Say which settings are tried on how many images.

    What `edge-convnext train` states is what it trained with, so nothing else is tried for that.

    Args:
        weights: Unfolded weights.
        images: Labelled images to draw from.
        effort: Effort that may be spent.
    """
    info = weights.info
    barred = set() if info.in_channels == 3 else {BGR}
    if family_of(weights.architecture).source_graph(weights) is not None:
        barred.add("image_size")  # a graph has one
    known = {one.name: one.value for one in weights.facts if one.origin.detail == TRAINED_BY}
    barred |= {name for name in known if known[name] == getattr(info.preprocess, name, None)}
    barred |= {BGR} if known else set()
    names = tuple(name for name in effort.names if name not in barred)
    if not names:
        why = f"{TRAINED_BY} states them" if known else "nothing else is possible"
        return Trials(why_none=why, trained_here=bool(known))
    macs = weights.architecture.count_macs(info.preprocess.image_size)
    most = min(_TRIED, len(images), int(effort.macs / (macs * effort.ways)))
    if most < _FEWEST:
        few = len(images) < _FEWEST
        why = f"{len(images)} images show nothing" if few else "the model is too large for that"
        return Trials(why_none=why, trained_here=bool(known))
    left_out = tuple(name for name in THOROUGH.names if name not in {*effort.names, *barred})
    return Trials(names, most, left_out=left_out, trained_here=bool(known))


def suggest_way(
    weights: Weights,
    images: ImageSet,
    answer: Answer,
    seed: int,
    effort: Effort = THOROUGH,
    places: Sequence[NDArray[np.int64]] = (),
) -> Suggestion | None:
    """Try the usual ways to preprocess images.

    Every caller that passes the same images has the same ones tried, or the first of them.

    Args:
        weights: Unfolded weights.
        images: All labelled images; of more than a hundred, a sample is used.
        answer: Answers of the model.
        seed: Seed of the sample.
        effort: Effort that may be spent.
        places: Index of each class's name in every order of the classes, int64[classes] each.
            Every way counts in the order that it fits best; without any, in the present order.

    Returns:
        The suggestion; None if no way is surely far more often right, or trying takes too long.
    """
    info, trials = weights.info, plan_trials(weights, images, effort)
    if trials.why_none:
        return None
    drawn = images if len(images) <= _TRIED else draw_calibration(images, None, _TRIED, seed).images
    shown = ImageSet(_shuffle(drawn, seed).samples[: trials.n_images], drawn.classes)
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

    found = find_better_way(right_in_best, len(shown), info.preprocess, trials.names, len(wanted))
    return None if found is None else Suggestion(found, best[found.way])


def _shuffle(images: ImageSet, seed: int) -> ImageSet:
    """In random order: files are sorted by class, and the first ones are judged alone."""
    order = np.random.default_rng(seed).permutation(len(images))
    return ImageSet(tuple(images.samples[index] for index in order), images.classes)

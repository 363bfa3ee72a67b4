"""The float model's answers on labelled images, before anything is built on them.

A model that is no better than guessing would be quantized, timed and shipped without a word: each
precision would keep the accuracy of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import Weights
from edge_convnext.core.errors import BadModelError
from edge_convnext.core.origins import Fact
from edge_convnext.core.recipe import Recipe
from edge_convnext.data import ImageSet, draw_calibration, iter_batches
from edge_convnext.measure.alternatives import BGR, Found, Way, find_better_way
from edge_convnext.measure.chance import FEWEST_IMAGES, judge
from edge_convnext.measure.class_order import Answer, labels_of, sample_images
from edge_convnext.measure.held_words import (
    describe,
    explain,
    explain_guess,
    fitting_order,
    tell_too_few,
    warn,
)
from edge_convnext.measure.settings import default_settings
from edge_convnext.networks.family import family_of

__all__ = ["Held", "answer_with_torch", "hold_against_chance", "suggest_way"]

_TRIED = 100  # images that every other way of preparing is tried on
_MOST_MACS = 5e11  # of all trials: some ten seconds on two cores
_WAYS = 8  # of the present size, that all trials together take about as long as
_GOOD_PCT = 90.0  # nobody is told to change the preprocessing of such a model


@dataclass(frozen=True)
class Held:
    """What holding a model against chance came to."""

    notes: tuple[str, ...] = ()
    order: tuple[str, ...] | None = None  # that would fit far better, in full


def hold_against_chance(
    weights: Weights,
    evaluation: ImageSet,
    recipe: Recipe,
    settings: Sequence[Fact],
    answer: Answer,
    try_ways: bool = True,
) -> Held:
    """Refuse a float model that is no better than guessing, or has its classes in another order.

    Some hundred images are looked at; where those say so, all of them.

    Args:
        weights: Unfolded.
        evaluation: Labelled images, in the order of the model's classes.
        recipe: `evaluate.allow_bad_model` makes it a note.
        settings: Settled: nobody's guess is told where another one would be right far more often.
        answer: The model's.
        try_ways: Whether other preprocessing is tried, which takes some seconds.

    Raises:
        BadModelError: In one line, with the order or the setting that would fit.
    """
    info = weights.info
    images = sample_images(evaluation, recipe.seed)
    answers = answer(images, None)
    found = judge(answers, labels_of(images), info.num_classes)
    if images is not evaluation and (found is None or found.bad):
        images = evaluation
        answers = answer(images, None)
        found = judge(answers, labels_of(images), info.num_classes)
    if found is None:
        return Held((tell_too_few(evaluation),))
    if not found.bad:
        guessed = default_settings(settings)
        note = None
        if try_ways and guessed and found.top1_pct < _GOOD_PCT:
            better = suggest_way(weights, images, guessed, answer, recipe.seed)
            note = explain_guess(better, info, guessed) if better else None
        return Held(tuple(one for one in (*warn(found, info.classes), note) if one))
    order = fitting_order(found, info.classes)
    better = None
    if try_ways and found.order is None:
        names = ("mean", "std", "resize", "image_size", BGR)
        better = suggest_way(weights, images, names, answer, recipe.seed)
    message = f"{info.weights_source}: {explain(found, info, order, better, try_ways)}"
    if found.n_images < FEWEST_IMAGES and found.order is None and found.one_answer is None:
        told = describe(found, info.classes)
        return Held((f"The float model {told}: more images would show more.",))
    if found.n_images < FEWEST_IMAGES:
        return Held((f"{message}. So few images end no build.",), order)
    if not recipe.evaluate.allow_bad_model:
        raise BadModelError(f"{message}; or pass --allow-bad-model to go on", order=order)
    return Held((f"{message}. Allowed by --allow-bad-model.",), order)


def suggest_way(
    weights: Weights, images: ImageSet, names: Sequence[str], answer: Answer, seed: int
) -> Found | None:
    """Another way to prepare images that is right far more often; None too where it takes long."""
    info = weights.info
    macs = weights.architecture.count_macs(info.preprocess.image_size)
    most = min(_TRIED, int(_MOST_MACS / (macs * _WAYS)))
    shown = images if len(images) <= most else draw_calibration(images, None, most, seed).images
    if len(shown) < FEWEST_IMAGES:
        return None
    labels = labels_of(shown)
    allowed = [name for name in names if name != BGR or info.in_channels == 3]
    return find_better_way(lambda way: answer(shown, way) == labels, info.preprocess, allowed)


def answer_with_torch(weights: Weights, batch: int, threads: int | None) -> Answer:
    """A float model that answers, loaded at its first question and kept."""
    loaded: list[Callable[[NDArray[np.float32]], NDArray[np.float32]]] = []

    def answer(images: ImageSet, way: Way | None) -> NDArray[np.int64]:
        if not loaded:
            from edge_convnext.runtimes.pytorch import TorchRuntime

            loaded.append(TorchRuntime(family_of(weights).build(weights, "raw"), threads).infer)
        preprocess, swapped = way or (weights.info.preprocess, False)
        batches = iter_batches(images.samples, preprocess, batch, weights.info.in_channels)
        answers = [
            loaded[0](np.ascontiguousarray(one[:, ::-1]) if swapped else one).argmax(axis=1)
            for one in batches
        ]
        return np.concatenate(answers).astype(np.int64)

    return answer

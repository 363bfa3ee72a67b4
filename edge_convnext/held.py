"""The float model's answers on labelled images, before anything is built on them.

Two questions: which of several orders its classes have, where nothing states one; and whether it
is better than guessing at all. A model that is not would be quantized, timed and shipped without
a word: each precision would keep the accuracy of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_convnext.alternatives import BGR, Found, Way, find_better_way
from edge_convnext.artifacts import ModelInfo, Weights
from edge_convnext.chance import FEWEST_IMAGES, Judgement, beats, judge
from edge_convnext.data import ImageSet, Splits, draw_calibration, iter_batches
from edge_convnext.errors import BadModelError, DataError, shorten
from edge_convnext.intervals import proportion_interval
from edge_convnext.origins import Fact, Origin
from edge_convnext.recipe import Recipe
from edge_convnext.settle import default_settings

__all__ = [
    "Answer",
    "Held",
    "answer_with_torch",
    "hold_against_chance",
    "order_by_images",
    "suggest_way",
    "warn",
]

# int64[N]: the class of each image's largest logit; of images that are prepared as the model
# has it, or in another way.
Answer: TypeAlias = Callable[[ImageSet, Way | None], NDArray[np.int64]]

_WHOLE = 500  # images: up to here the evaluation set is taken as it is
_SAMPLE = 300  # of a larger one
_TRIED = 100  # images that every other way of preparing is tried on
_MOST_MACS = 5e11  # of all trials: some ten seconds on two cores
_WAYS = 8  # of the present size, that all trials together take about as long as
_GOOD_PCT = 90.0  # nobody is told to change the preprocessing of such a model
_SHOWN_NAMES = 5


@dataclass(frozen=True)
class Held:
    """What holding a model against chance came to."""

    notes: tuple[str, ...] = ()
    order: tuple[str, ...] | None = None  # that would fit far better, in full


def order_by_images(
    info: ModelInfo, splits: Splits, answer: Answer, source: str, seed: int
) -> Splits:
    """Settle the order of the classes where nothing states it, by the evaluation images.

    The order is taken that is right more often than every other one for sure (95 % over all
    comparisons, on the same images), and more often than guessing.

    Args:
        info: Of the weights.
        splits: Labelled data with `other_orders`.
        answer: The float model's.
        source: The data, for messages.
        seed: Of the sample.

    Returns:
        The splits in the order that fits, which is then a fact.

    Raises:
        DataError: The images don't tell; the message lists the orders.
    """
    images = _sample(splits.val, seed)
    answers, labels = answer(images, None), _labels(images)
    names = splits.val.classes
    orders = [names, *(one for one in splits.other_orders if one != names)]
    right = {order: _places(names, order)[labels] == answers for order in orders}
    best = max(orders, key=lambda order: int(right[order].sum()))
    others = [order for order in orders if order != best]
    surely = all(beats(right[best], right[order], len(others)) for order in others)
    low, _ = proportion_interval(int(right[best].sum()), len(labels))
    listed = "; ".join(_show_order(order, orders, right[order]) for order in orders)
    if not surely or low <= 1.0 / info.num_classes:
        raise DataError(
            f"{source}: nothing states the order of its classes, and {len(labels)} evaluation "
            f"images don't tell which it is: {listed}; pass --labels FILE with the names in the "
            "order that the model was trained with"
        )
    detail = f"{_percent(right[best])} of {len(labels)} right"
    fact = Fact("classes", best, Origin("evaluation images", detail))
    note = f"Nothing states the order of the classes; {len(labels)} evaluation images do: {listed}."
    return replace(
        splits,
        train=reorder(splits.train, best) if splits.train else None,
        val=reorder(splits.val, best),
        facts=(fact, *(one for one in splits.facts if one.name != "classes")),
        notes=(*splits.notes, note),
        other_orders=(),
    )


def reorder(images: ImageSet, order: tuple[str, ...]) -> ImageSet:
    """The same images with their classes in another order."""
    place = _places(images.classes, order)
    samples = tuple(
        sample if sample.label is None else replace(sample, label=int(place[sample.label]))
        for sample in images.samples
    )
    return ImageSet(samples, order)


def hold_against_chance(
    weights: Weights,
    evaluation: ImageSet,
    recipe: Recipe,
    settings: Sequence[Fact],
    answer: Answer,
) -> Held:
    """Refuse a float model that is no better than guessing, or has its classes in another order.

    Some hundred images are looked at; where those say so, all of them.

    Args:
        weights: Unfolded.
        evaluation: Labelled images, in the order of the model's classes.
        recipe: `evaluate.allow_bad_model` makes it a note.
        settings: Settled: nobody's guess is told where another one would be right far more often.
        answer: The model's.

    Raises:
        BadModelError: In one line, with the order or the setting that would fit.
    """
    info = weights.info
    images = _sample(evaluation, recipe.seed)
    answers = answer(images, None)
    found = judge(answers, _labels(images), info.num_classes)
    if images is not evaluation and (found is None or found.bad):
        images = evaluation
        answers = answer(images, None)
        found = judge(answers, _labels(images), info.num_classes)
    if found is None:
        return Held((_too_few(evaluation),))
    if not found.bad:
        guessed = default_settings(settings)
        note = None
        if guessed and found.top1_pct < _GOOD_PCT:
            better = suggest_way(weights, images, guessed, answer, recipe.seed)
            note = _explain_guess(better, info, guessed) if better else None
        return Held(tuple(one for one in (*warn(found, info.classes), note) if one))
    order = _fitting_order(found, info.classes)
    better = None
    if found.order is None:
        names = ("mean", "std", "resize", "image_size", BGR)
        better = suggest_way(weights, images, names, answer, recipe.seed)
    message = f"{info.weights_source}: {_explain(found, info, order, better)}"
    if found.n_images < FEWEST_IMAGES:
        return Held((f"{message}. So few images end no build.",), order)
    if not recipe.evaluate.allow_bad_model:
        raise BadModelError(f"{message}; or pass --allow-bad-model to go on", order=order)
    return Held((f"{message}. Allowed by --allow-bad-model.",), order)


def warn(found: Judgement, classes: Sequence[str]) -> tuple[str, ...]:
    """What is told of a model that is not refused, because it is finished or not bad enough."""
    if found.bad:
        return (_describe(found, classes),)
    if found.near_constant:
        return (
            f"Top-1 {found.top1_pct:.2f} % of {found.n_images} images may be no more than one "
            f"answer for all of them would get ({100 * found.constant:.2f} %); class by class the "
            "model is better than guessing.",
        )
    return ()


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
    labels = _labels(shown)
    allowed = [name for name in names if name != BGR or info.in_channels == 3]
    return find_better_way(lambda way: answer(shown, way) == labels, info.preprocess, allowed)


def answer_with_torch(weights: Weights, batch: int, threads: int | None) -> Answer:
    """A float model that answers, loaded at its first question and kept."""
    loaded: list[Callable[[NDArray[np.float32]], NDArray[np.float32]]] = []

    def answer(images: ImageSet, way: Way | None) -> NDArray[np.int64]:
        if not loaded:
            from edge_convnext.convnext.network import build_network
            from edge_convnext.runtimes.pytorch import TorchRuntime

            loaded.append(TorchRuntime(build_network(weights, "raw"), threads).infer)
        preprocess, swapped = way or (weights.info.preprocess, False)
        batches = iter_batches(images.samples, preprocess, batch, weights.info.in_channels)
        answers = [
            loaded[0](np.ascontiguousarray(one[:, ::-1]) if swapped else one).argmax(axis=1)
            for one in batches
        ]
        return np.concatenate(answers).astype(np.int64)

    return answer


def _sample(images: ImageSet, seed: int) -> ImageSet:
    """The set itself where it is small; else so many images of each class."""
    return images if len(images) <= _WHOLE else draw_calibration(images, None, _SAMPLE, seed).images


def _labels(images: ImageSet) -> NDArray[np.int64]:
    return np.array([sample.label for sample in images.samples], dtype=np.int64)


def _places(names: Sequence[str], order: Sequence[str]) -> NDArray[np.int64]:
    """Where each of `names` stands in `order`."""
    index = {name: place for place, name in enumerate(order)}
    return np.array([index[name] for name in names], dtype=np.int64)


def _percent(right: NDArray[np.bool_]) -> str:
    return f"{100.0 * int(right.sum()) / len(right):.2f} %"


def _show_order(
    order: Sequence[str], orders: Sequence[Sequence[str]], right: NDArray[np.bool_]
) -> str:
    """The names from where the orders part, and how often they are right."""
    start = next(i for i, names in enumerate(zip(*orders, strict=True)) if len(set(names)) > 1)
    shown = order[max(0, start - 1) :]
    names = ", ".join(shown[:_SHOWN_NAMES])
    before = "..., " if start > 1 else ""
    after = ", ..." if len(shown) > _SHOWN_NAMES else ""
    return f"{before}{shorten(names)}{after} ({_percent(right)} right)"


def _too_few(images: ImageSet) -> str:
    kinds = len({sample.label for sample in images.samples})
    if kinds < 2:
        return (
            f"All {len(images)} evaluation images are of one class: whether the model is better "
            "than guessing can't be told."
        )
    return (
        f"{len(images)} evaluation images are too few to tell whether the model is better than "
        f"guessing: {FEWEST_IMAGES} would do."
    )


def _fitting_order(found: Judgement, classes: Sequence[str]) -> tuple[str, ...] | None:
    if found.order is None or not classes:
        return None
    names = [""] * len(classes)
    for label, place in enumerate(found.order):
        names[place] = classes[label]
    return tuple(names)


def _describe(found: Judgement, classes: Sequence[str]) -> str:
    if found.one_answer is not None:
        name = classes[found.one_answer] if classes else str(found.one_answer)
        return f"gives the class '{shorten(name, 60)}' to each of {found.n_images} images"
    low, high = found.interval_pct
    rival = max(found.guess, found.constant if found.complete else 0.0)
    against = f", where guessing gets {100 * rival:.2f} %" if found.at_chance else ""
    return (
        f"is right in {found.top1_pct:.2f} % of {found.n_images} evaluation images "
        f"(95 %: {low:.1f} to {high:.1f}){against}"
    )


def _explain(
    found: Judgement, info: ModelInfo, order: tuple[str, ...] | None, better: Found | None
) -> str:
    """What is wrong, and what would fit; only causes that were tried are named."""
    start = _describe(found, info.classes)
    if order is not None:
        would = 100.0 * found.reordered_hits / found.n_images
        return (
            f"{start}, and in {would:.2f} % where its classes stand in another order "
            f"({_name_order(order, info.classes)}): pass --labels FILE with the names in the "
            "order that it was trained with"
        )
    if better is not None:
        return f"{start}; {_remedy(better, info)}"
    tried = "no other order of the classes and no other preprocessing that was tried does better"
    return f"{start}; {tried}: pass the weights and the data that belong together"


def _explain_guess(better: Found, info: ModelInfo, guessed: Sequence[str]) -> str:
    return (
        f"Nothing states {', '.join(guessed)}, and the defaults may not be right: of "
        f"{better.n_images} images {better.before} are answered right; {_remedy(better, info)}."
    )


def _remedy(better: Found, info: ModelInfo) -> str:
    share = f"{100.0 * better.after / better.n_images:.2f} % of {better.n_images} are right"
    flags = better.flags(info.preprocess)
    if not better.way[1]:
        return f"{share} with {flags}: pass that"
    also = f" and {flags}" if flags else ""
    return (
        f"{share} with the colours in the order blue, green, red{also}: these weights were trained "
        "on images as OpenCV reads them; swap the input channels of their first convolution"
    )


def _name_order(order: Sequence[str], classes: Sequence[str]) -> str:
    start = next(
        (i for i, pair in enumerate(zip(order, classes, strict=True)) if len(set(pair)) > 1), 0
    )
    shown = order[start : start + _SHOWN_NAMES]
    before = f"from number {start} on: " if start else ""
    return (
        f"{before}{shorten(', '.join(shown))}{', ...' if start + len(shown) < len(order) else ''}"
    )

"""The order of classes that nothing states, settled by the evaluation images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_convnext.alternatives import Way
from edge_convnext.artifacts import ModelInfo
from edge_convnext.chance import beats, judge
from edge_convnext.data import ImageSet, Splits, draw_calibration
from edge_convnext.errors import DataError, shorten
from edge_convnext.held_words import fitting_order, name_order
from edge_convnext.intervals import proportion_interval
from edge_convnext.origins import Fact, Origin

__all__ = ["Answer", "labels_of", "order_by_images", "reorder", "sample_images", "show_order"]

# int64[N]: the class of each image's largest logit; of images that are prepared as the model
# has it, or in another way.
Answer: TypeAlias = Callable[[ImageSet, Way | None], NDArray[np.int64]]

_FEWEST_IMAGES = 10  # that tell a model that guesses from too few images
_WHOLE = 500  # images: up to here the evaluation set is taken as it is
_SAMPLE = 300  # of a larger one
_SHOWN_NAMES = 5


def order_by_images(
    info: ModelInfo, splits: Splits, answer: Answer, source: str, seed: int
) -> Splits:
    """Settle the order of the classes where nothing states it, by the evaluation images.

    The order is taken that is right more often than every other one for sure (95 % over all
    comparisons, on the same images), and more often than guessing. A model that guesses in all of
    them is left to `held`.

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
    images = sample_images(splits.val, seed)
    answers, labels = answer(images, None), labels_of(images)
    names = splits.val.classes
    orders = [names, *(one for one in splits.other_orders if one != names)]
    right = {order: _places(names, order)[labels] == answers for order in orders}
    best = max(orders, key=lambda order: int(right[order].sum()))
    others = [order for order in orders if order != best]
    surely = all(beats(right[best], right[order], len(others)) for order in others)
    low, _ = proportion_interval(int(right[best].sum()), len(labels))
    listed = "; ".join(
        f"{show_order(order, orders)} ({_percent(right[order])} right)" for order in orders
    )
    guessed = low <= 1.0 / info.num_classes
    another = _yet_another(answers, labels, names)
    if guessed and not another and len(labels) >= _FEWEST_IMAGES:
        # It is not the order that is wrong; what is, the check against guessing tells.
        note = (
            f"Nothing states the order of the classes, and on {len(labels)} evaluation images the "
            f"model is no better than guessing in any: {listed}. The first is used."
        )
        return replace(splits, notes=(*splits.notes, note), other_orders=())
    if guessed or not surely:
        raise DataError(
            f"{source}: nothing states the order of its classes, and {len(labels)} evaluation "
            f"images don't tell which it is: {listed}{another}; pass --labels FILE with the names "
            "in the order that the model was trained with"
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


def _yet_another(
    answers: NDArray[np.int64], labels: NDArray[np.int64], names: tuple[str, ...]
) -> str:
    """The order that the answers themselves suggest, where they do."""
    found = judge(answers, labels, len(names))
    order = fitting_order(found, names) if found is not None else None
    if found is None or order is None:
        return ""
    share = 100.0 * found.reordered_hits / found.n_images
    return f"; the answers fit yet another, {name_order(order, names)} ({share:.2f} %)"


def reorder(images: ImageSet, order: tuple[str, ...]) -> ImageSet:
    """The same images with their classes in another order."""
    place = _places(images.classes, order)
    samples = tuple(
        sample if sample.label is None else replace(sample, label=int(place[sample.label]))
        for sample in images.samples
    )
    return ImageSet(samples, order)


def _places(names: Sequence[str], order: Sequence[str]) -> NDArray[np.int64]:
    """Where each of `names` stands in `order`."""
    index = {name: place for place, name in enumerate(order)}
    return np.array([index[name] for name in names], dtype=np.int64)


def _percent(right: NDArray[np.bool_]) -> str:
    return f"{100.0 * int(right.sum()) / len(right):.2f} %"


def show_order(order: Sequence[str], orders: Sequence[Sequence[str]]) -> str:
    """The names from where the orders part."""
    start = next(i for i, names in enumerate(zip(*orders, strict=True)) if len(set(names)) > 1)
    shown = order[max(0, start - 1) :]
    names = ", ".join(shown[:_SHOWN_NAMES])
    before = "..., " if start > 1 else ""
    after = ", ..." if len(shown) > _SHOWN_NAMES else ""
    return f"{before}{shorten(names)}{after}"


def sample_images(images: ImageSet, seed: int) -> ImageSet:
    """The set itself where it is small; else so many images of each class."""
    return images if len(images) <= _WHOLE else draw_calibration(images, None, _SAMPLE, seed).images


def labels_of(images: ImageSet) -> NDArray[np.int64]:
    """int64[N] of a labelled set."""
    return np.array([sample.label for sample in images.samples], dtype=np.int64)

"""Settle an order of classes that nothing states, by the evaluation images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import ModelInfo
from edge_convnext.core.errors import DataError, shorten
from edge_convnext.core.intervals import proportion_interval
from edge_convnext.core.origins import Fact, Origin
from edge_convnext.data.images import ImageSet
from edge_convnext.data.splits import Splits
from edge_convnext.measure.answers import Answer, labels_of, sample_images
from edge_convnext.measure.chance import beats, judge
from edge_convnext.measure.held_words import fitting_order, name_order, name_remedy
from edge_convnext.measure.suggest import Suggest

__all__ = ["order_by_images", "reorder", "show_order"]

_FEWEST_IMAGES = 10  # with fewer, a model that guesses can't be told from a good one
_SHOWN_NAMES = 5


@dataclass(frozen=True)
class _Trial:
    """The hits of every order on the same images."""

    answers: NDArray[np.int64]
    labels: NDArray[np.int64]
    right: dict[tuple[str, ...], NDArray[np.bool_]]  # by order, bool[N]; the one in use is first

    @property
    def best(self) -> tuple[str, ...]:
        return max(self.right, key=lambda order: int(self.right[order].sum()))

    def guesses(self, num_classes: int) -> bool:
        """Whether the best order may be no better than guessing."""
        low, _ = proportion_interval(int(self.right[self.best].sum()), len(self.labels))
        return low <= 1.0 / num_classes

    def settles(self, num_classes: int) -> bool:
        """Whether the best order is surely better than guessing, and than every other order."""
        others = [right for order, right in self.right.items() if order != self.best]
        surely = all(beats(self.right[self.best], right, len(others)) for right in others)
        return surely and not self.guesses(num_classes)


def _try_orders(splits: Splits, images: ImageSet, answer: Answer) -> _Trial:
    answers, labels = answer(images, None), labels_of(images)
    names = splits.val.classes
    orders = (names, *(one for one in splits.other_orders if one != names))
    right = {order: _places(names, order)[labels] == answers for order in orders}
    return _Trial(answers, labels, right)


def order_by_images(
    info: ModelInfo,
    splits: Splits,
    answer: Answer,
    source: str,
    seed: int,
    suggest: Suggest | None = None,
) -> Splits:
    """Settle the order of the classes, if nothing states it, by the evaluation images.

    The order is used that is right more often than every other one for sure (95 % over all
    comparisons, on the same images), and more often than guessing. A model that guesses in every
    order is left to `held`. A sample of the images is tried first, and all images if it does not
    decide.

    Args:
        info: Facts on the weights.
        splits: Labelled data with `other_orders`.
        answer: Answers of the float model.
        source: Name of the data, for messages.
        seed: Seed of the sample.
        suggest: Tries other preprocessing if no order fits: wrongly prepared images fit none.

    Returns:
        The splits in the order that fits, with a fact that states it.

    Raises:
        DataError: The images don't decide; the message lists the orders.
    """
    images = sample_images(splits.val, seed)
    trial = _try_orders(splits, images, answer)
    if not trial.settles(info.num_classes) and len(images) < len(splits.val):
        images = splits.val  # orders may differ in only a few classes
        trial = _try_orders(splits, images, answer)
    best, right, orders = trial.best, trial.right, list(trial.right)
    listed = "; ".join(
        f"{show_order(order, orders)} ({_percent(right[order])} right)" for order in orders
    )
    guessed, count = trial.guesses(info.num_classes), len(images)
    another = _yet_another(trial.answers, trial.labels, splits.val.classes)
    if guessed and not another and count >= _FEWEST_IMAGES:
        # The order is not the problem; the check against guessing finds what is.
        note = (
            f"Nothing states the order of the classes, and on {count} evaluation images the "
            f"model is no better than guessing in any: {listed}. The first is used."
        )
        return replace(splits, notes=(*splits.notes, note), other_orders=())
    if not trial.settles(info.num_classes):
        start = (
            f"{source}: nothing states the order of its classes, and {count} evaluation images "
            f"don't tell which it is"
        )
        better = suggest(images, _all_places(orders)) if suggest and not another else None
        if better is not None:
            order = show_order(orders[better.order], orders)
            raise DataError(
                f"{start} while they are prepared as they are now: {listed}; in the order {order}, "
                f"{name_remedy(better.found, info)}"
            )
        raise DataError(
            f"{start}: {listed}{another}; pass --labels FILE with the names in the order that the "
            "model was trained with"
        )
    detail = f"{_percent(right[best])} of {count} right"
    fact = Fact("classes", best, Origin("evaluation images", detail))
    note = f"Nothing states the order of the classes; {count} evaluation images do: {listed}."
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
    """Words on an order that the answers fit far better, if there is one."""
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
    """The index of each of `names` in `order`, int64[n]."""
    index = {name: place for place, name in enumerate(order)}
    return np.array([index[name] for name in names], dtype=np.int64)


def _all_places(orders: Sequence[Sequence[str]]) -> list[NDArray[np.int64]]:
    return [_places(orders[0], order) for order in orders]


def _percent(right: NDArray[np.bool_]) -> str:
    return f"{100.0 * int(right.sum()) / len(right):.2f} %"


def show_order(order: Sequence[str], orders: Sequence[Sequence[str]]) -> str:
    """Names of an order, from the first place where the orders differ."""
    start = next(i for i, names in enumerate(zip(*orders, strict=True)) if len(set(names)) > 1)
    shown = order[max(0, start - 1) :]
    names = ", ".join(shown[:_SHOWN_NAMES])
    before = "..., " if start > 1 else ""
    after = ", ..." if len(shown) > _SHOWN_NAMES else ""
    return f"{before}{shorten(names)}{after}"

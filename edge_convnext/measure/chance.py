"""Is a model better than guessing, and would another order of its classes fit far better?

Everything here looks at answers (the largest logit of each image) and at labels alone. What a
guess gets is worked out from both: someone who gives the model's answers in the same proportions,
without a look at the images, is right in the sum over classes of (share of the images) times
(share of the answers). One answer for all images gets the share of that class.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.intervals import paired_difference_interval, proportion_interval
from edge_convnext.measure.assignment import assign

__all__ = ["FEWEST_IMAGES", "Judgement", "beats", "judge"]

FEWEST_IMAGES = 50  # that a model is refused by where they leave open whether guessing does better
_FEWEST_TOLD = 10  # that anything is said by
# What an order must gain for sure before the one in use is called wrong: more than the classes
# that a poor model mixes up.
_FAR_BETTER = 0.05
_MOST_CLASSES = 1000  # beyond, the search for an order takes minutes


@dataclass(frozen=True)
class Judgement:
    """How a model's answers stand against guessing."""

    n_images: int
    hits: int
    num_classes: int
    guess: float  # share that guesses in the answers' proportions get, or one in all classes
    constant: float  # share of the most frequent class
    complete: bool  # every class has an image
    one_answer: int | None  # the class that every image was given
    # For each label the answer that fits it; None where the one of its own number does.
    order: tuple[int, ...] | None
    reordered_hits: int  # in that order, on images that it was not chosen by

    @property
    def top1_pct(self) -> float:
        """Images that were answered right."""
        return 100.0 * self.hits / self.n_images

    @cached_property
    def interval_pct(self) -> tuple[float, float]:
        """Of `top1_pct`, at 95 %."""
        low, high = proportion_interval(self.hits, self.n_images)
        return 100.0 * low, 100.0 * high

    @property
    def at_chance(self) -> bool:
        """Whether guessing may do as well, or one constant answer surely does better.

        The share of the largest class alone would condemn an honest model of rare cases; where
        some classes have no image, one answer is no rival: it would have to know which have.
        """
        low, high = self.interval_pct
        return low <= 100.0 * self.guess or (self.complete and high < 100.0 * self.constant)

    @property
    def near_constant(self) -> bool:
        """Whether one answer for all images may do as well, though the answers are no guesses."""
        return not self.at_chance and self.interval_pct[0] <= 100.0 * self.constant

    @property
    def bad(self) -> bool:
        """Whether no figure measured with this model would mean anything."""
        return self.at_chance or self.one_answer is not None or self.order is not None

    @property
    def surely_bad(self) -> bool:
        """Whether the images tell it for sure: fewer do where their interval alone says so."""
        enough = self.n_images >= FEWEST_IMAGES or self.order is not None
        return self.bad and (enough or self.interval_pct[1] < 100.0 * self.guess)


def judge(
    answers: NDArray[np.int64], labels: NDArray[np.int64], num_classes: int
) -> Judgement | None:
    """Hold a model's answers against guessing, and against other orders of its classes.

    Args:
        answers: int64[N], the class of each image's largest logit.
        labels: int64[N], the class that each image is of.
        num_classes: Of the model.

    Returns:
        None where there are too few images to say anything, or all are of one class.
    """
    n = len(labels)
    by_label = np.bincount(labels, minlength=num_classes)
    if n < _FEWEST_TOLD or np.count_nonzero(by_label) < 2:
        return None
    by_answer = np.bincount(answers, minlength=num_classes)
    agreed = float(by_label.astype(np.float64) @ by_answer) / n**2
    order, reordered_hits = _find_order(answers, labels, num_classes)
    return Judgement(
        n_images=n,
        hits=int((answers == labels).sum()),
        num_classes=num_classes,
        guess=max(1.0 / num_classes, agreed),
        constant=float(by_label.max()) / n,
        complete=bool(by_label.all()),
        one_answer=int(answers[0]) if np.count_nonzero(by_answer) == 1 else None,
        order=order,
        reordered_hits=reordered_hits,
    )


def beats(
    better: NDArray[np.bool_],
    worse: NDArray[np.bool_],
    tries: int = 1,
    margin: float = 0.0,
    confidence: float = 0.95,
) -> bool:
    """Whether one of two ways to read the same images is right more often for sure.

    Args:
        better: bool[N], the images that it gets right.
        worse: bool[N], of the other.
        tries: How many ways were tried: the more, the surer it has to be.
        margin: By how much, as a share of the images.
        confidence: Of all tries together.
    """
    won, lost = int((better & ~worse).sum()), int((worse & ~better).sum())
    surely = 1.0 - (1.0 - confidence) / tries
    return paired_difference_interval(won, lost, len(better), surely)[0] > margin


def _find_order(
    answers: NDArray[np.int64], labels: NDArray[np.int64], num_classes: int
) -> tuple[tuple[int, ...] | None, int]:
    """An order that is far better, and its hits.

    One half of the images finds an order and the other half judges it, in turns. Of a thousand
    classes with an image each, any order could be found that fits all of them; none of those
    fits images that it was not made for.
    """
    hits = answers == labels
    if num_classes > _MOST_CLASSES:
        return None, int(hits.sum())
    first = _halve(labels)
    reordered = np.zeros(len(labels), np.bool_)
    for fitted, judged in ((first, ~first), (~first, first)):
        found = _fit(answers[fitted], labels[fitted], num_classes)
        reordered[judged] = found[labels[judged]] == answers[judged]
    if not beats(reordered, hits, margin=_FAR_BETTER):
        return None, int(hits.sum())
    return tuple(_fit(answers, labels, num_classes).tolist()), int(reordered.sum())


def _halve(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Every second image of each class."""
    order = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(labels))])
    position = np.empty(len(labels), np.int64)
    position[order] = np.arange(len(labels)) - starts[labels[order]]
    first: NDArray[np.bool_] = position % 2 == 0
    return first


def _fit(
    answers: NDArray[np.int64], labels: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    """For each label the answer that it is given most, none twice; its own where nothing tells."""
    seen = np.union1d(answers, labels)  # the others keep their own: fewer to assign
    place = np.zeros(num_classes, np.int64)
    place[seen] = np.arange(len(seen))
    counts = np.zeros((len(seen), len(seen)))
    np.add.at(counts, (place[labels], place[answers]), 1.0)
    counts += np.eye(len(seen)) * 0.5  # of equals, its own
    found = np.arange(num_classes)
    found[seen] = seen[assign(counts)]
    return found

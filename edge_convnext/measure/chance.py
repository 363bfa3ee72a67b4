"""Is a model better than guessing, and would another order of its classes fit far better?

Everything here looks only at answers (the largest logit of each image) and at labels. The accuracy
of guessing follows from both: a guess that gives the model's answers in the same proportions,
without looking at the images, is right in the sum over classes of (share of the images) times
(share of the answers). One answer for all images gets the share of that class.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.intervals import paired_difference_interval, proportion_interval
from edge_convnext.measure.assignment import assign

__all__ = ["FEWEST_IMAGES", "MOST_CLASSES", "Judgement", "beats", "judge"]

# Fewest images to refuse a model by, if their interval alone does not show that it is bad.
FEWEST_IMAGES = 50
_FEWEST_TOLD = 10  # fewest images to say anything about
# Share of the images that another order must gain for sure before the order in use is called wrong.
# A poor model that mixes up some classes gains less.
_FAR_BETTER = 0.05
MOST_CLASSES = 1000  # with more, the search for an order takes minutes


@dataclass(frozen=True)
class Judgement:
    """A model's answers compared with guessing."""

    n_images: int
    hits: int
    num_classes: int
    guess: float  # share that guesses in the answers' proportions get; at least 1 / num_classes
    constant: float  # share of the images in the most frequent class
    complete: bool  # every class has an image
    one_answer: int | None  # the class that every image was given
    # For each label the answer that fits it; None if the present order fits.
    order: tuple[int, ...] | None
    reordered_hits: int  # hits in that order, each on images that did not choose it

    @property
    def top1_pct(self) -> float:
        """Share of the images that were answered right, in percent."""
        return 100.0 * self.hits / self.n_images

    @cached_property
    def interval_pct(self) -> tuple[float, float]:
        """The 95 % interval of `top1_pct`."""
        low, high = proportion_interval(self.hits, self.n_images)
        return 100.0 * low, 100.0 * high

    @property
    def at_chance(self) -> bool:
        """Whether guessing may be as good, or one constant answer is surely better.

        A comparison only with the largest class's share would condemn a sound model of rare cases.
        A constant answer is compared only if every class has images: otherwise it would have to
        know which classes have some.
        """
        low, high = self.interval_pct
        return low <= 100.0 * self.guess or (self.complete and high < 100.0 * self.constant)

    @property
    def near_constant(self) -> bool:
        """Whether one answer for all images may be as good, although the model does not guess."""
        return not self.at_chance and self.interval_pct[0] <= 100.0 * self.constant

    @property
    def bad(self) -> bool:
        """Whether figures measured with this model would mean nothing."""
        return self.at_chance or self.one_answer is not None or self.order is not None

    @property
    def surely_bad(self) -> bool:
        """Whether the model is bad for sure: by enough images, or by the interval of fewer."""
        enough = self.n_images >= FEWEST_IMAGES or self.order is not None
        return self.bad and (enough or self.interval_pct[1] < 100.0 * self.guess)


def judge(
    answers: NDArray[np.int64], labels: NDArray[np.int64], num_classes: int
) -> Judgement | None:
    """Compare a model's answers with guessing, and with other orders of its classes.

    Args:
        answers: Class of each image's largest logit, int64[N].
        labels: True class of each image, int64[N].
        num_classes: Number of classes of the model.

    Returns:
        The judgement; None if there are too few images, or all are of one class.
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
    """Whether one of two sets of answers on the same images is right more often for sure.

    Args:
        better: Images that it gets right, bool[N].
        worse: Images that the other gets right, bool[N].
        tries: Number of sets that were tried; more tries need a clearer difference.
        margin: Smallest difference that counts, as a share of the images.
        confidence: Confidence over all tries together.
    """
    won, lost = int((better & ~worse).sum()), int((worse & ~better).sum())
    surely = 1.0 - (1.0 - confidence) / tries
    return paired_difference_interval(won, lost, len(better), surely)[0] > margin


def _find_order(
    answers: NDArray[np.int64], labels: NDArray[np.int64], num_classes: int
) -> tuple[tuple[int, ...] | None, int]:
    """Find an order that is far better, and its hits; else None and the present hits.

    One half of the images finds an order and the other half judges it, and vice versa. With a
    thousand classes of one image each, there is an order that fits every image by chance. It does
    not fit images that it was not made from.
    """
    hits = answers == labels
    if num_classes > MOST_CLASSES or len(np.unique(answers)) == 1:  # one answer tells no order
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
    """For each label its most frequent answer, none used twice; its own number if in doubt."""
    seen = np.union1d(answers, labels)  # other classes keep their own number
    place = np.zeros(num_classes, np.int64)
    place[seen] = np.arange(len(seen))
    counts = np.zeros((len(seen), len(seen)))
    np.add.at(counts, (place[labels], place[answers]), 1.0)
    counts += np.eye(len(seen)) * 0.5  # in a tie a label keeps its own number
    found = np.arange(num_classes)
    found[seen] = seen[assign(counts)]
    return found

"""The images that a fallback is searched on, and those that judge it.

A search that looks at the same images several times finds a graph that looks good on those images.
The drop on them is no honest measurement. So the search uses one half of the evaluation side, and
the other half, which it never saw, judges. If the evaluation side is too small to halve, the search
uses training images.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_convnext.data.calibration import draw_calibration
from edge_convnext.data.images import ImageSet
from edge_convnext.data.seeded_splits import split_by_seed
from edge_convnext.report.contract import HALF_SEARCHED

__all__ = ["SearchImages", "choose_search_images"]

_FEWEST = 50  # evaluation images to halve; training images to look at
_FEWEST_PER_HALF = 20  # images; groups stay whole and may be large, so halves can be uneven
_MOST_TRAINING = 512  # images; each step of the search runs all of them

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class SearchImages:
    """The images that a search looks at, and those left to judge its result."""

    images: ImageSet  # the images that are run
    looks: Rows | None  # rows of `images` that the search looks at; None: all
    judges: Rows | None  # rows of the evaluation images that judge; None: all
    what: str  # such as `half of the evaluation images`

    @property
    def count(self) -> int:
        """Number of images that the search looks at."""
        return len(self.images) if self.looks is None else len(self.looks)


def choose_search_images(
    evaluation: ImageSet, training: ImageSet | None, seen: Collection[str], seed: int
) -> SearchImages | str:
    """Draw the images of a search.

    Groups and equal images stay together, and every class is on both sides.

    Args:
        evaluation: Labelled images that the model was not trained on.
        training: Labelled images of the training side; None without any.
        seen: SHA-256 of calibration images, on which a quantized graph looks better than it is.
        seed: Seed of the draw.

    Returns:
        The images, or the reason that there are none.
    """
    if len(evaluation) >= _FEWEST:
        _, held, _ = split_by_seed(evaluation.samples, 0.5, seed)
        judging = {sample.sha256 for sample in held}
        mine = np.array([sample.sha256 in judging for sample in evaluation.samples], np.bool_)
        if min(mine.sum(), (~mine).sum()) >= _FEWEST_PER_HALF:
            looks, judges = np.flatnonzero(~mine), np.flatnonzero(mine)
            return SearchImages(evaluation, looks, judges, HALF_SEARCHED)
    why = f"the {len(evaluation)} evaluation images are too few to halve"
    if len(evaluation) >= _FEWEST:
        why = f"the groups of the {len(evaluation)} evaluation images are too large to halve them"
    left = [one for one in training.samples if one.sha256 not in seen] if training else []
    pool = ImageSet(tuple(left), evaluation.classes)
    if len(pool.hashes - evaluation.hashes) < _FEWEST:
        return (
            f"{why}, and there are no {_FEWEST} training images beside those of the calibration "
            "to look for one on"
        )
    drawn = draw_calibration(pool, evaluation, _MOST_TRAINING, seed).images
    return SearchImages(drawn, None, None, "images of the training side")

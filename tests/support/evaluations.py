"""Evaluations of two classes that the tests write down."""

from pathlib import Path

import numpy as np

from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.measure.accuracy import Predictions, compare_predictions
from edge_convnext.measure.evaluation import Evaluation

CLASSES = ("ant", "bee", "cat", "dog")


def images(count, start=0, group=lambda number: None):
    """Images of four classes, ordered by class as a folder lists them."""
    return ImageSet(
        tuple(
            Sample(Path(f"{n}.png"), f"{start + n:064x}", n * 4 // count, group(n))
            for n in range(count)
        ),
        CLASSES,
    )


def predictions(right):
    """Of two classes; class 0 is right everywhere."""
    logits = np.stack([np.ones(len(right)), np.where(right, 0.0, 2.0)], axis=1)
    hashes = tuple(f"{n:064x}" for n in range(len(right)))
    return Predictions(logits.astype(np.float32), np.zeros(len(right), np.int64), hashes)


def evaluation_of(options):
    reference = predictions(np.ones(200, bool))
    found = {name: predictions(right) for name, right in options.items()}
    compared = {name: compare_predictions(reference, one) for name, one in found.items()}
    return Evaluation(reference, found, compared, cached=False, seconds=1.0)

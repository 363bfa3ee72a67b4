"""The accuracy of all candidates of a build or a board, on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_convnext.measure.accuracy import Comparison, Predictions, compare_predictions

__all__ = ["Evaluation"]


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of the FP32 reference and of every candidate, on the same images."""

    reference: Predictions
    options: Mapping[str, Predictions]  # by name of the candidate
    comparisons: Mapping[str, Comparison]
    cached: bool
    seconds: float

    def joined(self, earlier: Evaluation) -> Evaluation:
        """This evaluation, which extends an earlier one, with the time of both."""
        return replace(
            self,
            cached=self.cached and earlier.cached,
            seconds=self.seconds + earlier.seconds,
        )

    def of(self, rows: NDArray[np.intp] | None) -> Evaluation:
        """The evaluation on some rows of the images; on all of them for None."""
        if rows is None:
            return self
        reference = _take(self.reference, rows)
        options = {name: _take(one, rows) for name, one in self.options.items()}
        comparisons = {name: compare_predictions(reference, one) for name, one in options.items()}
        return replace(self, reference=reference, options=options, comparisons=comparisons)


def _take(predictions: Predictions, rows: NDArray[np.intp]) -> Predictions:
    hashes = tuple(predictions.sha256s[row] for row in rows)
    return Predictions(predictions.logits[rows], predictions.labels[rows], hashes)

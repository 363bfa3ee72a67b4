"""The evaluation of one build: it grows candidate by candidate.

A fallback is judged on images that its search did not use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edge_convnext.build.budget import Fallback, hold_budget
from edge_convnext.build.compare import evaluate_options
from edge_convnext.build.search_images import SearchImages, choose_search_images
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.evaluation import Evaluation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.build.settle import Prepared
    from edge_convnext.data.images import ImageSet

__all__ = ["Evaluator"]


class Evaluator:
    """The accuracies of a build's candidates; there are none without labelled images."""

    def __init__(self, prepared: Prepared, machine: str) -> None:
        self.found: Evaluation | None = None
        self.fallbacks: list[Fallback] = []
        self.searched: SearchImages | None = None  # images that a fallback was found on
        self._prepared, self._machine = prepared, machine
        self._options: dict[str, Candidate] = {}
        self._judges: NDArray[np.intp] | None = None

    def add(self, options: Sequence[Candidate]) -> None:
        """Evaluate further candidates."""
        images = self._prepared.inputs.evaluation
        if images is None:
            return
        self._options |= {option.name: option for option in options}
        found = self._run(list(self._options.values()), images).of(self._judges)
        self.found = found if self.found is None else found.joined(self.found)

    def knows(self, option: Candidate) -> bool:
        """Whether its accuracy is known already, or can't be measured."""
        return self.found is None or option.name in self.found.options

    def hold_budget(self, options: Sequence[Candidate]) -> list[Candidate]:
        """Find fallbacks; if there are any, judge everything on images that no search saw.

        Returns:
            The candidates of the graphs that keep the budget on the searched images.
        """
        runner, inputs = self._prepared.runner, self._prepared.inputs
        if self.found is None or inputs.evaluation is None or not runner.recipe.evaluate.fallback:
            return []
        training = inputs.splits.train if inputs.splits else None
        seen = inputs.calibration.images.hashes if inputs.calibration else frozenset[str]()
        search = choose_search_images(inputs.evaluation, training, seen, runner.recipe.seed)
        self.fallbacks = hold_budget(
            runner, self._prepared.graphs, options, self.found, self._look(search),
            self._prepared.samples,
        )  # fmt: skip
        further = [option for one in self.fallbacks for option in one.options]
        if further and isinstance(search, SearchImages):
            self.searched, self._judges = search, search.judges
            self.add(further)
        return further

    def _look(
        self, search: SearchImages | str
    ) -> Callable[[Sequence[Candidate]], Evaluation] | str:
        if isinstance(search, str):
            return search
        return lambda options: self._run(options, search.images).of(search.looks)

    def _run(self, options: Sequence[Candidate], images: ImageSet) -> Evaluation:
        weights, runner = self._prepared.inputs.weights, self._prepared.runner
        return evaluate_options(options, weights, images, runner, self._machine)

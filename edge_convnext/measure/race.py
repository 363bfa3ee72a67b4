"""A whole race: time all candidates, then load the finalists afresh and judge them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from edge_convnext.measure.benchmark import benchmark, judge
from edge_convnext.measure.quiet import race_in_quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.core.progress import Track
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.timings import BenchmarkResult

__all__ = ["Race", "race"]


@dataclass(frozen=True)
class Race:
    """The times of a race, and how long it took."""

    timings: BenchmarkResult
    seconds: float  # of the rounds, without waiting and without choosing the finalists


def race(
    candidates: Sequence[Candidate],
    images: NDArray[np.float32],
    recipe: Recipe,
    list_finalists: Callable[[BenchmarkResult], Sequence[Candidate]],
    track: Track,
) -> Race:
    """Time all candidates against each other; wait for a quiet machine if the recipe says so.

    Args:
        candidates: Candidates to time; several of one name are timed once.
        images: Real images, normalised, float32[N, C, H, W]; repeated to fill a batch.
        recipe: Batch sizes, rounds, seed, and how long to wait for a quiet machine.
        list_finalists: Chooses the finalists to judge, from the rounds so far.
        track: Shows the rounds.

    Raises:
        InferenceError: A runtime refused a graph, the images or the batch size.
    """
    once = partial(_race_once, _distinct(candidates), images, recipe, list_finalists, track)
    return race_in_quiet(once, recipe.benchmark.wait_quiet_min, _other_load_pct, track)


def _race_once(
    candidates: Sequence[Candidate],
    images: NDArray[np.float32],
    recipe: Recipe,
    list_finalists: Callable[[BenchmarkResult], Sequence[Candidate]],
    track: Track,
) -> Race:
    config, seed = recipe.benchmark, recipe.seed
    started = time.perf_counter()
    timings = benchmark(candidates, images, config, seed, track)
    seconds = time.perf_counter() - started
    finalists = _distinct(list_finalists(timings))
    started = time.perf_counter()
    timings = judge(timings, finalists, images, config, seed, track)
    return Race(timings, seconds + time.perf_counter() - started)


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    return list({one.name: one for one in candidates}.values())


def _other_load_pct(one: Race) -> float | None:
    return one.timings.other_load_pct

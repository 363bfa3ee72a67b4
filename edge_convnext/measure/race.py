"""A whole race: time all candidates, then load the finalists afresh and judge them.

One batch size decides: the smallest. At the others only those are timed that it leaves, and their
memory alone is measured: that is what took most of a build, and nobody ships the rest.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from edge_convnext.core.intervals import FEWEST_FOR_MEDIAN
from edge_convnext.measure.benchmark import benchmark, judge
from edge_convnext.measure.quiet import race_in_quiet
from edge_convnext.measure.row_memory import add_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.core.progress import Track
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.core.sections import BenchmarkConfig
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
    list_left: Callable[[BenchmarkResult], Sequence[Candidate]] | None = None,
    list_contested: Callable[[BenchmarkResult], Sequence[Candidate]] | None = None,
    *,
    measure_memory: bool = True,
) -> Race:
    """Time all candidates against each other; wait for a quiet machine if the recipe says so.

    Args:
        candidates: Candidates to time; several of one name are timed once.
        images: Real images, normalised, float32[N, C, H, W]; repeated to fill a batch.
        recipe: Batch sizes, rounds, seed, and how long to wait for a quiet machine.
        list_finalists: Chooses the finalists to judge, from the rounds so far.
        track: Shows the rounds.
        list_left: Chooses, from the rounds at the smallest batch size, the candidates to time at
            the other sizes and to measure the memory of; None takes all.
        list_contested: Chooses, from the first six rounds at the smallest batch size, the
            candidates that the other rounds are for; None takes all.
        measure_memory: False measures no memory at all.

    Raises:
        InferenceError: A runtime refused a graph, the images or the batch size.
    """
    once = partial(
        _race_once, _distinct(candidates), images, recipe, list_finalists, track, list_left,
        list_contested, measure_memory,
    )  # fmt: skip
    return race_in_quiet(once, recipe.benchmark.wait_quiet_min, _other_load_pct, track)


def _race_once(
    candidates: Sequence[Candidate],
    images: NDArray[np.float32],
    recipe: Recipe,
    list_finalists: Callable[[BenchmarkResult], Sequence[Candidate]],
    track: Track,
    list_left: Callable[[BenchmarkResult], Sequence[Candidate]] | None,
    list_contested: Callable[[BenchmarkResult], Sequence[Candidate]] | None,
    measure_memory: bool,
) -> Race:
    config, seed = recipe.benchmark, recipe.seed
    first = config if list_left is None else _at(config, min(config.batches))
    started = time.perf_counter()
    at_once = measure_memory and list_left is None
    narrow = None if list_contested is None else partial(_names, list_contested)
    timings = benchmark(
        candidates, images, first, seed, track, measure_memory=at_once, narrow=narrow
    )
    seconds = time.perf_counter() - started
    finalists = _distinct(list_finalists(timings))
    started = time.perf_counter()
    timings = judge(timings, finalists, images, config, seed, track)
    if list_left is not None:
        left = _distinct(list_left(timings))
        names = {one.name for one in left}
        behind = tuple(row.artifact for row in timings.rows if row.artifact not in names)
        timings = replace(timings, timed_once=behind)
        others = [one for one in config.batches if one not in first.batches]
        if others:
            rest = _briefly(config, others)
            timings += benchmark(left, images, rest, seed, track, measure_memory=False)
        if measure_memory:
            timings = add_memory(timings, left, images, track)
    return Race(timings, seconds + time.perf_counter() - started)


def _names(
    choose: Callable[[BenchmarkResult], Sequence[Candidate]], timings: BenchmarkResult
) -> frozenset[str]:
    return frozenset(one.name for one in choose(timings))


def _at(config: BenchmarkConfig, *batches: int) -> BenchmarkConfig:
    return config.model_copy(update={"batches": batches})


def _briefly(config: BenchmarkConfig, batches: Sequence[int]) -> BenchmarkConfig:
    """For batch sizes that decide nothing: few rounds, and one batch to warm up with."""
    rounds = min(-(-config.rounds // 2), FEWEST_FOR_MEDIAN)
    update = {"rounds": rounds, "warmup": min(config.warmup, 1)}
    return _at(config, *batches).model_copy(update=update)


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    return list({one.name: one for one in candidates}.values())


def _other_load_pct(one: Race) -> float | None:
    return one.timings.other_load_pct

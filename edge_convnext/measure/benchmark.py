"""Measure latency and throughput of several models so that the comparison is fair.

All candidates live in one process and take turns: each round gives every candidate one turn,
in a new random order, so that a slow minute of the machine hits all of them alike. Speed-ups
come from the rounds: each round's median is compared with the other model's of the same round.

A race has two parts. In the first, all candidates run, and the finalists are chosen. In the second,
only the finalists run. They are loaded afresh several times, and judged (`speed`).

None of this helps on a machine that is busy with other work. It slows runtimes that wait for their
threads by spinning (ONNX Runtime) far more than others, which skews the ratios. The result
therefore has the load of other processes during the rounds.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.bounds import why_too_large
from edge_convnext.core.contention import largest_load_pct, other_load_pct, read_cpu_clock
from edge_convnext.core.errors import InferenceError
from edge_convnext.core.intervals import FEWEST_FOR_MEDIAN
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.quotas import (
    read_throttling,
    sum_periods,
    throttled_since,
)
from edge_convnext.measure.candidates import Candidate, load_candidate, load_each
from edge_convnext.measure.row_memory import try_memory
from edge_convnext.measure.speed import Ratio, speedup
from edge_convnext.measure.timings import BenchmarkResult, Judged, TimedRow, Turns, make_row
from edge_convnext.measure.turns import quick_collections, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from edge_convnext.core.sections import BenchmarkConfig
    from edge_convnext.measure.memory import PeakMemory
    from edge_convnext.runtimes import Runtime, RuntimeInfo

__all__ = [
    "BenchmarkResult",
    "Ratio",
    "TimedRow",
    "benchmark",
    "judge",
    "judge_rounds",
    "speedup",
    "take_turns",
]

# The smallest number whose 95 % interval does not reach from the smallest to the largest value.
_LOADS = 9
_MOST_BALLAST = 1 << 21  # bytes; enough to move the next load to other memory pages


def benchmark(
    candidates: Sequence[Candidate],
    images: NDArray[np.float32],
    config: BenchmarkConfig,
    seed: int = 0,
    track: Track = untracked,
    measure_memory: bool = True,
    narrow: Callable[[BenchmarkResult], Collection[str]] | None = None,
) -> BenchmarkResult:
    """Time all candidates against each other at every batch size: the rounds that choose.

    Args:
        candidates: Candidates with unique names; each is timed at the batch sizes it can run.
        images: Real images, normalised, float32[N, C, H, W]; repeated to fill a batch.
        config: Batch sizes, threads, rounds.
        seed: Seed of the order of the turns.
        track: Shows the rounds.
        measure_memory: True starts a child process per row for its peak memory.
        narrow: Names the candidates that go on after the first six rounds, from these; None lets
            all go on.

    Raises:
        MissingDependencyError: A candidate's runtime is not installed.
        ArtifactError: A candidate's file is missing.
        InferenceError: A runtime refused a graph, the images or the batch size.
    """
    if len({candidate.name for candidate in candidates}) != len(candidates):
        raise ValueError("the candidates of a benchmark need different names")
    rows: list[TimedRow] = []
    runtimes: list[RuntimeInfo] = []
    loads: list[float | None] = []
    stops: list[int | None] = []
    turns: dict[tuple[str, int], Turns] = {}
    for batch in config.batches:
        fitting = [candidate for candidate in candidates if candidate.fits(batch)]
        if not fitting:
            continue
        _, channels, height, width = images.shape
        if reason := why_too_large(batch, channels, (height, width)):
            raise InferenceError(reason)
        inputs = np.resize(images, (batch, *images.shape[1:]))
        models = _load_each(fitting, batch, config.threads)
        # Before the timing, so that no child competes with it.
        memory: list[PeakMemory | None] = [None] * len(fitting)
        if measure_memory:
            shown = track(fitting, f"memory, batch {batch}", len(fitting))
            memory = [try_memory(candidate, inputs, config.threads) for candidate in shown]
        before, stopped = read_cpu_clock(), read_throttling()
        times = _time_narrowing(fitting, models, inputs, config, seed, track, narrow)
        loads.append(other_load_pct(before, read_cpu_clock()))
        stops.append(throttled_since(stopped))
        for candidate, model, own, peak in zip(fitting, models, times, memory, strict=True):
            turns[candidate.name, batch] = own
            info = model.describe()
            rows.append(make_row(candidate, batch, info.threads, own, peak))
            runtimes.append(info)
    return BenchmarkResult(
        tuple(rows),
        tuple(runtimes),
        largest_load_pct(loads),
        turns=turns,
        throttled_periods=sum_periods(stops),
    )


def judge(
    result: BenchmarkResult,
    finalists: Sequence[Candidate],
    images: NDArray[np.float32],
    config: BenchmarkConfig,
    seed: int = 0,
    track: Track = untracked,
) -> BenchmarkResult:
    """Load the finalists afresh several times and time them: the rounds that judge.

    Only one load of each is held at a time, at other memory addresses than the one before.

    Args:
        result: Result of `benchmark` with the same images and config.
        finalists: Some of its candidates, chosen by `selecting_ms` alone.
        images: Images as for `benchmark`.
        config: Settings of the race; finalists run about `rounds` more rounds, at the smallest
            batch size timed.
        seed: Seed of the order of loads and turns.
        track: Shows the loads.

    Returns:
        `result` with these rounds added to the finalists', after those that chose.

    Raises:
        InferenceError: A runtime refused a graph, the images or the batch size.
    """
    batch = min(row.batch for row in result.rows)
    inputs = np.resize(images, (batch, *images.shape[1:]))
    loads, rounds = judge_rounds(config.rounds)
    per_load = config.model_copy(update={"rounds": rounds})
    judged = Judged(tuple(one.name for one in finalists), batch, loads, rounds)
    turns = dict(result.turns)
    before, stopped = read_cpu_clock(), read_throttling()
    # What a graph compiles to is the same in every load, and takes longer than loading that.
    with TemporaryDirectory(prefix="edge-convnext-") as kept, quick_collections():
        for number in track(range(loads), f"judging batch {batch}", loads):
            times = _time_afresh(finalists, inputs, per_load, seed + 1 + number, Path(kept))
            for candidate, own in zip(finalists, times, strict=True):
                turns[candidate.name, batch] += own
    load = other_load_pct(before, read_cpu_clock())
    stops = (result.throttled_periods, throttled_since(stopped))
    rows = [
        row.timed(turns[row.artifact, batch])
        if row.batch == batch and row.artifact in judged.names
        else row
        for row in result.rows
    ]
    return replace(
        result,
        rows=tuple(rows),
        other_load_pct=largest_load_pct((result.other_load_pct, load)),
        throttled_periods=sum_periods(stops),
        judged=judged,
        turns=turns,
    )


def judge_rounds(rounds: int) -> tuple[int, int]:
    """The number of loads for a number of rounds, and the number of rounds in each load."""
    loads = min(_LOADS, rounds)
    return loads, -(-rounds // loads)


def _time_afresh(
    candidates: Sequence[Candidate],
    inputs: NDArray[np.float32],
    config: BenchmarkConfig,
    seed: int,
    kept: Path,
) -> list[Turns]:
    """Load the candidates in a new order, with filler memory between them, and time them."""
    draw = random.Random(seed)
    shuffled = draw.sample(candidates, len(candidates))
    ballast: list[NDArray[np.uint8]] = []

    def fill() -> None:
        ballast.append(np.ones(draw.randrange(_MOST_BALLAST), np.uint8))

    models = _load_each(shuffled, len(inputs), config.threads, fill, kept)
    by_name = {one.name: model for one, model in zip(shuffled, models, strict=True)}
    ordered = [by_name[candidate.name] for candidate in candidates]
    return _time(ordered, inputs, config, seed, untracked)


def _time_narrowing(
    candidates: Sequence[Candidate],
    models: Sequence[Runtime],
    inputs: NDArray[np.float32],
    config: BenchmarkConfig,
    seed: int,
    track: Track,
    narrow: Callable[[BenchmarkResult], Collection[str]] | None,
) -> list[Turns]:
    """Time all candidates in the first rounds, and in the others those that `narrow` names."""
    further = config.rounds - FEWEST_FOR_MEDIAN
    if narrow is None or further <= 0:
        return _time(models, inputs, config, seed, track)
    first = config.model_copy(update={"rounds": FEWEST_FOR_MEDIAN})
    times = _time(models, inputs, first, seed, track)
    rows = (
        make_row(one, len(inputs), model.describe().threads, own, None)
        for one, model, own in zip(candidates, models, times, strict=True)
    )
    left = narrow(BenchmarkResult(tuple(rows), ()))
    places = [place for place, one in enumerate(candidates) if one.name in left]
    rest = config.model_copy(update={"rounds": further})
    more = _time([models[place] for place in places], inputs, rest, seed + 1, track)
    for place, own in zip(places, more, strict=True):
        times[place] += own
    return times


def _time(
    models: Sequence[Runtime],
    inputs: NDArray[np.float32],
    config: BenchmarkConfig,
    seed: int,
    track: Track,
) -> list[Turns]:
    gpu: list[list[list[float]]] = [[] for _ in models]
    times = take_turns(models, inputs, config, seed, track, gpu)
    return [
        Turns(tuple(map(tuple, calls)), tuple(map(tuple, launches)))
        for calls, launches in zip(times, gpu, strict=True)
    ]


def _load_each(
    candidates: Sequence[Candidate],
    batch: int,
    threads: int | None,
    before: Callable[[], None] = lambda: None,
    kept: Path | None = None,
) -> list[Runtime]:
    """Load candidates, `before` ahead of each; what they compile to may be `kept`."""

    def load(candidate: Candidate) -> Runtime:
        before()
        return _load(candidate, batch, threads, kept)

    return load_each(candidates, load)


def _load(
    candidate: Candidate, batch: int, threads: int | None, kept: Path | None = None
) -> Runtime:
    model = load_candidate(candidate, batch, threads, kept)
    fixed = model.describe().batch
    if fixed not in (None, batch):
        raise InferenceError(
            f"{candidate.model.path}: was exported for batch {fixed} and can't be timed at batch "
            f"{batch}; export with batch 'dynamic', or benchmark batch {fixed} only"
        )
    return model

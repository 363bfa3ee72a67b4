"""All candidates against each other, in turns, in this process."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from benchmarks.peers.accuracy import Candidate, threads_of
from benchmarks.peers.configurations import load
from benchmarks.peers.produce import explain
from benchmarks.peers.task import Task
from edge_convnext.core.contention import other_load_pct, read_cpu_clock
from edge_convnext.core.errors import InferenceError
from edge_convnext.core.intervals import median_interval
from edge_convnext.measure.benchmark import Ratio, take_turns

__all__ = ["Timings", "ratio_to", "time_candidates"]

T = TypeVar("T")


@dataclass(frozen=True)
class Timings:
    """Of what could be timed, by the candidate's label."""

    round_ms: Mapping[str, tuple[float, ...]]  # each round's median, at batch 1
    latency_ms_p50: Mapping[str, float]  # of all inferences
    reasons: Mapping[str, str]  # of those that failed only here
    other_load_pct: float | None


def time_candidates(task: Task, candidates: Sequence[Candidate]) -> Timings:
    """Load what was evaluated, and time it at batch 1 on one real image."""
    image = np.ascontiguousarray(np.load(task.images, mmap_mode="r")[:1])
    loaded, reasons = {}, {}
    for candidate in candidates:
        if candidate.reason is not None or candidate.graph.path is None:
            continue
        try:
            model = load(candidate.graph.path, candidate.configuration, threads_of(task), 1)
            model.infer(image)
            loaded[candidate.label] = model
        except InferenceError as error:
            reasons[candidate.label] = explain(str(error))
    before = read_cpu_clock()
    times = take_turns(
        list(loaded.values()), image, task.recipe.benchmark, task.recipe.seed, _track
    )
    load_pct = other_load_pct(before, read_cpu_clock())
    by_label = dict(zip(loaded, times, strict=True))
    return Timings(
        {name: tuple(map(statistics.median, rounds)) for name, rounds in by_label.items()},
        {
            name: statistics.median(ms for turn in rounds for ms in turn)
            for name, rounds in by_label.items()
        },
        reasons,
        load_pct,
    )


def ratio_to(ours: Sequence[float], other: Sequence[float]) -> Ratio:
    """How many times slower the other is than ours, from paired rounds."""
    ratios = [slow / fast for slow, fast in zip(other, ours, strict=True)]
    low, high = median_interval(ratios) or (None, None)
    return Ratio(statistics.median(ratios), low, high, len(ratios))


def _track(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    for number, item in enumerate(items):
        sys.stderr.write(f"\r{what}: round {number + 1} of {total}")
        sys.stderr.flush()
        yield item
    sys.stderr.write("\n")

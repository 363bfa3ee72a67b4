"""Images per second of models that are asked for several inferences at once.

Latency is measured with one request after the other, and then a runtime gives all threads to it.
An application with more images than that keeps several requests in flight: the threads are shared
out among streams, more images are done in a second, and each one takes longer. Which model is the
fastest, and by how much, may differ from the race at one request.

Every setting (batch size, streams, requests) of every model takes turns in random order. In a turn
each request asks again as soon as it has its answer. The best setting of each model is chosen so:
the most images per second, of those within the limit of latency. Only the chosen ones then take
turns again, and the figures that are compared come from those rounds alone.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.contention import other_load_pct, read_cpu_clock
from edge_convnext.core.intervals import median_interval
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.quotas import read_throttling, throttled_since
from edge_convnext.measure.speed import Ratio
from edge_convnext.measure.turns import no_garbage_collection
from edge_convnext.runtimes import Streams
from edge_convnext.runtimes.interface import native_images, usable_cores
from edge_convnext.runtimes.load import load_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_convnext.core.sections import BenchmarkConfig
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.runtimes import Runtime

__all__ = [
    "ThroughputResult",
    "ThroughputRow",
    "Wanted",
    "measure_throughput",
    "usual_streams",
]

_LONGER = 4  # times `min_round_ms`: a turn starts and ends with streams that wait for each other
_FEWEST = 3  # inferences of each request in a turn
_BEYOND = 10  # samples beyond a percentile, for it to be told


@dataclass(frozen=True)
class Wanted:
    """What throughput is asked for."""

    percentile: float = 90.0  # of the latency of a request
    limit_ms: float | None = None  # for that latency; None: none
    streams: tuple[int, ...] = ()  # to try; empty: `usual_streams`
    requests: int | None = None  # in flight; None: one for each stream

    def settings(self, threads: int | None) -> list[Streams]:
        """Every number of streams to try, with its requests."""
        tried = self.streams or usual_streams(threads)
        return [Streams(one, max(one, self.requests or one)) for one in dict.fromkeys(tried)]


@dataclass(frozen=True)
class ThroughputRow:
    """One setting of one candidate."""

    candidate: Candidate
    threads: int  # of all streams together
    batch: int
    streams: int
    requests: int
    percentile: float
    images_per_s: float  # in the median round
    latency_ms_p50: float  # of a request with the whole batch
    latency_ms: float | None  # at the percentile; None with too few samples
    samples: int
    round_images_per_s: tuple[float, ...]
    chosen: bool = False  # the best setting of its candidate, and timed again

    def within(self, limit_ms: float | None) -> bool:
        """Whether its latency is known to keep a limit."""
        return limit_ms is None or (self.latency_ms is not None and self.latency_ms <= limit_ms)


@dataclass(frozen=True)
class ThroughputResult:
    """All settings; of a chosen one the figures of the rounds that followed the choice."""

    rows: tuple[ThroughputRow, ...]
    wanted: Wanted
    other_load_pct: float | None
    throttled_periods: int | None = None  # periods that a CPU quota cut short; None without one

    def best(self, candidate: str) -> ThroughputRow | None:
        """The chosen setting of a candidate; None if none keeps the limit."""
        rows = (row for row in self.rows if row.chosen and row.candidate.name == candidate)
        return next(rows, None)

    def ratio(self, candidate: str, reference: str) -> Ratio | None:
        """How many times more images a second than the reference's, each at its best setting."""
        one, other = self.best(candidate), self.best(reference)
        if one is None or other is None:
            return None
        pairs = zip(one.round_images_per_s, other.round_images_per_s, strict=True)
        ratios = [mine / theirs for mine, theirs in pairs]
        low, high = median_interval(ratios) or (None, None)
        return Ratio(statistics.median(ratios), low, high, len(ratios))


@dataclass
class _Loaded:
    """A candidate in one setting, ready to serve."""

    candidate: Candidate
    streams: Streams
    runtimes: Sequence[Runtime]  # one for each request
    inputs: NDArray[np.float32]
    count: int = 0  # inferences in a turn


@dataclass(frozen=True)
class _Turn:
    images_per_s: float
    latencies_ms: tuple[float, ...]


def usual_streams(threads: int | None) -> tuple[int, ...]:
    """Numbers of streams worth trying: 1, 2, 4, … up to one for each thread.

    Args:
        threads: CPU threads of all streams together; None is every core this process may use.
    """
    most = threads or usable_cores()
    doubled = (1 << power for power in range(most.bit_length()))
    return tuple(dict.fromkeys([*(one for one in doubled if one < most), most]))


def measure_throughput(
    candidates: Sequence[Candidate],
    images: NDArray[np.float32],
    config: BenchmarkConfig,
    wanted: Wanted,
    seed: int = 0,
    track: Track = untracked,
) -> ThroughputResult:
    """Time every setting of all candidates, then the best one of each again.

    Args:
        candidates: Candidates with unique names, for the CPU.
        images: Real images, normalised, float32[N, C, H, W]; repeated to fill a batch.
        config: Batch sizes, threads, rounds.
        wanted: Percentile and limit of the latency, streams and requests.
        seed: Seed of the order of the turns.
        track: Shows the rounds.

    Raises:
        MissingDependencyError: A candidate's runtime is not installed.
        ArtifactError: A candidate's file is missing.
        InferenceError: A runtime refused a graph, the images or the batch size.
    """
    threads = config.threads or usable_cores()
    before, stopped = read_cpu_clock(), read_throttling()
    loaded = [
        _load(candidate, np.resize(images, (batch, *images.shape[1:])), streams, threads)
        for batch in config.batches
        for candidate in candidates
        if candidate.fits(batch)
        for streams in wanted.settings(threads)
    ]
    with no_garbage_collection():
        for one in loaded:
            one.count = _choose_count(one, config)
        turns = _take_turns(loaded, config, seed, track, "choosing streams")
        rows = [_row(*pair, threads, wanted) for pair in zip(loaded, turns, strict=True)]
        chosen = _choose(rows, wanted)
        again = _take_turns([loaded[at] for at in chosen], config, seed + 1, track, "throughput")
    for at, own in zip(chosen, again, strict=True):
        rows[at] = replace(_row(loaded[at], own, threads, wanted), chosen=True)
    load = other_load_pct(before, read_cpu_clock())
    return ThroughputResult(tuple(rows), wanted, load, throttled_since(stopped))


def _load(
    candidate: Candidate, inputs: NDArray[np.float32], streams: Streams, threads: int
) -> _Loaded:
    options = candidate.options(len(inputs), threads)
    runtimes = load_streams(candidate.runtime, candidate.model.path, options, streams)
    return _Loaded(candidate, streams, runtimes, native_images(runtimes[0], inputs))


def _choose_count(one: _Loaded, config: BenchmarkConfig) -> int:
    """The number of inferences that fill a turn; fixed in advance, as in `turns`."""
    few = _FEWEST * one.streams.requests
    _serve(one, max(few, config.warmup))
    took_ms = 1e3 * few * len(one.inputs) / _serve(one, few).images_per_s
    return max(few, math.ceil(few * _LONGER * config.min_round_ms / took_ms))


def _take_turns(
    loaded: Sequence[_Loaded], config: BenchmarkConfig, seed: int, track: Track, what: str
) -> list[list[_Turn]]:
    """All turns of each setting; in every round they come in a new random order."""
    shuffle = random.Random(seed).shuffle
    turns: list[list[_Turn]] = [[] for _ in loaded]
    for _ in track(range(config.rounds), what, config.rounds) if loaded else ():
        order = list(range(len(loaded)))
        shuffle(order)
        for at in order:
            _serve(loaded[at], loaded[at].streams.requests)  # wakes its threads
            turns[at].append(_serve(loaded[at], loaded[at].count))
    return turns


def _serve(one: _Loaded, count: int) -> _Turn:
    """Ask for `count` inferences, with all requests in flight until none is left to ask for."""
    numbers, start = itertools.count(), threading.Barrier(len(one.runtimes))

    def ask(runtime: Runtime) -> list[tuple[float, float]]:
        own = []
        start.wait()
        while next(numbers) < count:
            asked = time.perf_counter()
            runtime.infer(one.inputs)
            own.append((asked, time.perf_counter()))
        return own

    with ThreadPoolExecutor(len(one.runtimes)) as pool:
        each = [pool.submit(ask, runtime) for runtime in one.runtimes]
        calls = [call for own in each for call in own.result()]
    seconds = max(end for _, end in calls) - min(begin for begin, _ in calls)
    latencies = tuple(1e3 * (end - begin) for begin, end in calls)
    return _Turn(count * len(one.inputs) / seconds, latencies)


def _row(one: _Loaded, turns: Sequence[_Turn], threads: int, wanted: Wanted) -> ThroughputRow:
    samples = np.concatenate([turn.latencies_ms for turn in turns])
    rates = tuple(turn.images_per_s for turn in turns)
    told = len(samples) * (1 - wanted.percentile / 100) >= _BEYOND - 1e-9
    return ThroughputRow(
        candidate=one.candidate,
        threads=threads,
        batch=len(one.inputs),
        streams=one.streams.streams,
        requests=one.streams.requests,
        percentile=wanted.percentile,
        images_per_s=statistics.median(rates),
        latency_ms_p50=float(np.percentile(samples, 50)),
        latency_ms=float(np.percentile(samples, wanted.percentile)) if told else None,
        samples=len(samples),
        round_images_per_s=rates,
    )


def _choose(rows: Sequence[ThroughputRow], wanted: Wanted) -> list[int]:
    """Positions of the best setting of each candidate that has one within the limit."""
    best: dict[str, int] = {}
    for at, row in enumerate(rows):
        name = row.candidate.name
        known = best.get(name)
        better = known is None or row.images_per_s > rows[known].images_per_s
        if row.within(wanted.limit_ms) and better:
            best[name] = at
    return list(best.values())

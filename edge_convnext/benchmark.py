"""Latency and throughput of several models, measured so that the comparison is fair.

All candidates live in one process and take turns: each round gives every candidate one turn,
in a new random order, so that a slow minute of the machine hits all of them alike. Speed-ups
come from the rounds, each round's median against the other's of the same round, and their
interval from how much they differ between rounds.

What that can't mend is a machine busy with other work: it slows runtimes that wait for their
threads by spinning (ONNX Runtime) far more than others, and skews the ratios. The result
therefore tells the load of other processes during the rounds.

A turn is some untimed inferences, which bring the candidate's weights back into the caches
and wake its threads, and then the same number of timed ones in every round.
"""

from __future__ import annotations

import gc
import logging
import math
import random
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.contention import other_load_pct, read_cpu_clock
from edge_convnext.errors import InferenceError
from edge_convnext.intervals import median_interval
from edge_convnext.memory import PeakMemory, measure_peak_memory
from edge_convnext.progress import Track, untracked
from edge_convnext.runtimes import GpuRuntime, RuntimeOptions, load_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_convnext.artifacts import FormName, PlacementName, Precision, RuntimeName
    from edge_convnext.recipe import BenchmarkConfig
    from edge_convnext.runtimes import PrecisionHint, Runtime, RuntimeInfo

__all__ = [
    "BenchmarkResult",
    "BenchmarkRow",
    "Candidate",
    "Ratio",
    "benchmark",
    "speedup",
    "take_turns",
]

_MIN_INFERENCES = 3  # timed, per turn
_MIN_SAMPLES_P90 = 100  # ten values beyond a percentile, or it is an anecdote
_MIN_SAMPLES_P99 = 1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """One model in one runtime."""

    name: str  # unique within a benchmark
    path: Path
    precision: Precision
    form: FormName
    placement: PlacementName | None
    runtime: RuntimeName
    precision_hint: PrecisionHint | None = None
    settings: tuple[tuple[str, str], ...] = ()  # of the runtime, beyond this package's own


@dataclass(frozen=True)
class BenchmarkRow:
    """One candidate at one batch size. Latencies are of one call with the whole batch."""

    artifact: str  # the candidate's name
    form: FormName
    placement: PlacementName | None
    precision: Precision
    runtime: RuntimeName
    precision_hint: PrecisionHint | None
    threads: int
    batch: int
    latency_ms_p50: float
    latency_ms_p90: float | None  # None below 100 samples
    latency_ms_p99: float | None  # None below 1000 samples
    throughput_img_s: float  # of calls back to back, in the median round
    samples: int
    rounds: int
    round_latency_ms_p50: tuple[float, ...]  # in the order of the rounds
    size_bytes: int  # of the file
    peak_memory_bytes: int | None  # of a process that runs nothing else
    baseline_memory_bytes: int | None  # of that process before it loads the model
    gpu_ms_p50: float | None = None  # of the GPU alone, copies left out; None on a CPU
    gpu_ms_p90: float | None = None
    gpu_ms_p99: float | None = None
    round_gpu_ms_p50: tuple[float, ...] = ()


@dataclass(frozen=True)
class BenchmarkResult:
    """All rows, the runtimes they were measured in, and how quiet the machine was."""

    rows: tuple[BenchmarkRow, ...]
    runtimes: tuple[RuntimeInfo, ...]  # one per candidate and batch, in the order of `rows`
    other_load_pct: float | None = None  # of the cores, by other processes; None if unknown

    def row(self, artifact: str, batch: int) -> BenchmarkRow:
        """Find one row.

        Raises:
            KeyError: There is none.
        """
        for row in self.rows:
            if row.artifact == artifact and row.batch == batch:
                return row
        raise KeyError(f"no benchmark of '{artifact}' at batch {batch}")


@dataclass(frozen=True)
class Ratio:
    """How many times faster, and how sure that is."""

    median: float  # over the rounds, of the reference's median latency by the candidate's
    ci95_lo: float | None  # None with fewer than 6 rounds
    ci95_hi: float | None
    rounds: int


def benchmark(
    candidates: Sequence[Candidate],
    images: NDArray[np.float32],
    config: BenchmarkConfig,
    seed: int = 0,
    track: Track = untracked,
    measure_memory: bool = True,
) -> BenchmarkResult:
    """Time all candidates against each other at every batch size.

    Args:
        candidates: With unique names.
        images: Real images, normalised, float32[N, C, H, W]; repeated to fill a batch.
        config: Batch sizes, threads, rounds.
        seed: Of the order of the turns.
        track: Shows the rounds.
        measure_memory: Whether to start a child process per row for its peak memory.

    Raises:
        MissingDependencyError: A candidate's runtime is not installed.
        ArtifactError: A candidate's file is missing.
        InferenceError: A runtime refused a graph, the images or the batch size.
    """
    if len({candidate.name for candidate in candidates}) != len(candidates):
        raise ValueError("the candidates of a benchmark need different names")
    rows: list[BenchmarkRow] = []
    runtimes: list[RuntimeInfo] = []
    loads: list[float] = []
    for batch in config.batches:
        inputs = np.resize(images, (batch, *images.shape[1:]))
        models = [_load(candidate, batch, config.threads) for candidate in candidates]
        # Before the timing, so that no child competes with it.
        memory: list[PeakMemory | None] = [None] * len(candidates)
        if measure_memory:
            shown = track(candidates, f"memory, batch {batch}", len(candidates))
            memory = [_try_memory(candidate, inputs, config.threads) for candidate in shown]
        before = read_cpu_clock()
        gpu: list[list[list[float]]] = [[] for _ in models]
        times = take_turns(models, inputs, config, seed, track, gpu)
        load = other_load_pct(before, read_cpu_clock())
        loads += [] if load is None else [load]
        for candidate, model, rounds_ms, peak, gpu_ms in zip(
            candidates, models, times, memory, gpu, strict=True
        ):
            row = _make_row(candidate, model, batch, rounds_ms, peak)
            rows.append(_add_gpu(row, gpu_ms))
            runtimes.append(model.describe())
    return BenchmarkResult(tuple(rows), tuple(runtimes), max(loads, default=None))


def speedup(result: BenchmarkResult, candidate: str, reference: str, batch: int) -> Ratio:
    """Tell how many times faster than `reference` the candidate is, from paired rounds.

    Where both ran on a GPU, in its own time: copies and Python are the same for both.

    Raises:
        KeyError: One of the two was not measured at this batch size.
    """
    one, other = result.row(candidate, batch), result.row(reference, batch)
    fast, slow = one.round_latency_ms_p50, other.round_latency_ms_p50
    if one.round_gpu_ms_p50 and other.round_gpu_ms_p50:
        fast, slow = one.round_gpu_ms_p50, other.round_gpu_ms_p50
    ratios = [before / after for before, after in zip(slow, fast, strict=True)]
    low, high = median_interval(ratios) or (None, None)
    return Ratio(statistics.median(ratios), low, high, len(ratios))


def _load(candidate: Candidate, batch: int, threads: int | None) -> Runtime:
    options = RuntimeOptions(threads, batch, candidate.precision_hint, candidate.settings)
    model = load_runtime(candidate.runtime, candidate.path, options)
    fixed = model.describe().batch
    if fixed not in (None, batch):
        raise InferenceError(
            f"{candidate.path}: was exported for batch {fixed} and can't be timed at batch "
            f"{batch}; export with batch 'dynamic', or benchmark batch {fixed} only"
        )
    return model


def _try_memory(
    candidate: Candidate, inputs: NDArray[np.float32], threads: int | None
) -> PeakMemory | None:
    options = RuntimeOptions(threads, len(inputs), candidate.precision_hint, candidate.settings)
    try:
        return measure_peak_memory(candidate.runtime, candidate.path, inputs, options)
    except InferenceError as error:  # a figure less, not a reason to lose the timings
        _log.warning("%s", error)
        return None


def take_turns(
    models: Sequence[Runtime],
    inputs: NDArray[np.float32],
    config: BenchmarkConfig,
    seed: int,
    track: Track,
    gpu: list[list[list[float]]] | None = None,
) -> list[list[list[float]]]:
    """Time every model in every round, in a new random order each.

    Args:
        models: Loaded.
        inputs: float32[N, C, H, W], given to every model.
        config: Rounds, warm-up, milliseconds per turn.
        seed: Of the order.
        track: Shows the rounds.
        gpu: Gets a GPU's own milliseconds of as many launches, by model and round.

    Returns:
        Milliseconds by model, round and inference.
    """
    shuffle = random.Random(seed).shuffle
    times: list[list[list[float]]] = [[] for _ in models]
    with _no_garbage_collection():
        counts = [_choose_count(model, inputs, config) for model in models]
        what = f"timing batch {len(inputs)}"
        for _ in track(range(config.rounds), what, config.rounds):
            order = list(range(len(models)))
            shuffle(order)
            for index in order:
                _infer_ms(models[index], inputs, config.warmup)
                times[index].append(_infer_ms(models[index], inputs, counts[index]))
                model = models[index]
                if gpu is not None and isinstance(model, GpuRuntime):
                    gpu[index].append(model.time_launches(len(inputs), counts[index]))
    return times


def _choose_count(model: Runtime, inputs: NDArray[np.float32], config: BenchmarkConfig) -> int:
    """How many inferences fill a turn.

    Fixed beforehand: turns that end by the clock would hold more samples where the machine
    was fast, and pull the percentiles towards those rounds.
    """
    _infer_ms(model, inputs, config.warmup)
    typical_ms = statistics.median(_infer_ms(model, inputs, _MIN_INFERENCES))
    return max(_MIN_INFERENCES, math.ceil(config.min_round_ms / typical_ms))


def _infer_ms(model: Runtime, inputs: NDArray[np.float32], count: int) -> list[float]:
    result = []
    for _ in range(count):
        start = time.perf_counter_ns()
        model.infer(inputs)
        result.append((time.perf_counter_ns() - start) / 1e6)
    return result


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _make_row(
    candidate: Candidate,
    model: Runtime,
    batch: int,
    rounds_ms: list[list[float]],
    peak: PeakMemory | None,
) -> BenchmarkRow:
    samples = np.concatenate([np.asarray(turn) for turn in rounds_ms])
    return BenchmarkRow(
        artifact=candidate.name,
        form=candidate.form,
        placement=candidate.placement,
        precision=candidate.precision,
        runtime=candidate.runtime,
        precision_hint=candidate.precision_hint,
        threads=model.describe().threads,
        batch=batch,
        latency_ms_p50=float(np.percentile(samples, 50)),
        latency_ms_p90=_percentile(samples, 90, _MIN_SAMPLES_P90),
        latency_ms_p99=_percentile(samples, 99, _MIN_SAMPLES_P99),
        throughput_img_s=statistics.median(
            1e3 * batch * len(turn) / sum(turn) for turn in rounds_ms
        ),
        samples=len(samples),
        rounds=len(rounds_ms),
        round_latency_ms_p50=tuple(statistics.median(turn) for turn in rounds_ms),
        size_bytes=candidate.path.stat().st_size,
        peak_memory_bytes=peak.peak_bytes if peak else None,
        baseline_memory_bytes=peak.baseline_bytes if peak else None,
    )


def _add_gpu(row: BenchmarkRow, rounds_ms: list[list[float]]) -> BenchmarkRow:
    if not rounds_ms:
        return row
    samples = np.concatenate([np.asarray(turn) for turn in rounds_ms])
    return replace(
        row,
        gpu_ms_p50=float(np.percentile(samples, 50)),
        gpu_ms_p90=_percentile(samples, 90, _MIN_SAMPLES_P90),
        gpu_ms_p99=_percentile(samples, 99, _MIN_SAMPLES_P99),
        round_gpu_ms_p50=tuple(statistics.median(turn) for turn in rounds_ms),
    )


def _percentile(samples: NDArray[np.float64], percent: float, needed: int) -> float | None:
    return float(np.percentile(samples, percent)) if len(samples) >= needed else None

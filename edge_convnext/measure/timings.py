"""The measurements of a race: a row for each candidate and batch size, and who was judged."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.contention import largest_load_pct
from edge_convnext.core.quotas import sum_periods

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.memory import PeakMemory
    from edge_convnext.runtimes import RuntimeInfo

__all__ = ["BenchmarkResult", "Judged", "TimedRow", "Turns", "make_row"]

_MIN_SAMPLES_P90 = 100  # so that at least ten values lie beyond the percentile
_MIN_SAMPLES_P99 = 1000

Milliseconds = tuple[tuple[float, ...], ...]  # latencies by round and inference


@dataclass(frozen=True)
class TimedRow:
    """One candidate at one batch size. Latencies are of one call with the whole batch."""

    candidate: Candidate
    threads: int
    batch: int
    latency_ms_p50: float
    latency_ms_p90: float | None  # None below 100 samples
    latency_ms_p99: float | None  # None below 1000 samples
    throughput_img_s: float  # of calls in sequence, in the median round
    samples: int
    rounds: int
    round_latency_ms_p50: tuple[float, ...]  # in the order of the rounds
    size_bytes: int  # size of the file
    peak_memory_bytes: int | None  # of a process that runs only this candidate
    baseline_memory_bytes: int | None  # of that process before it loads the model
    gpu_ms_p50: float | None = None  # the GPU's own time, without copies; None on a CPU
    gpu_ms_p90: float | None = None
    gpu_ms_p99: float | None = None
    round_gpu_ms_p50: tuple[float, ...] = ()
    latency_ms_deciles: tuple[float, ...] = ()  # 10th to 90th percentile; empty below 100 samples

    @property
    def artifact(self) -> str:
        """The candidate's name."""
        return self.candidate.name

    def with_memory(self, memory: PeakMemory | None) -> TimedRow:
        """This row with the memory of a process that runs only this candidate."""
        if memory is None:
            return self
        return replace(
            self, peak_memory_bytes=memory.peak_bytes, baseline_memory_bytes=memory.baseline_bytes
        )

    def timed(self, turns: Turns) -> TimedRow:
        """This row with figures computed from other rounds."""
        calls = [np.asarray(turn) for turn in turns.calls]
        samples = np.concatenate(calls)
        row = replace(
            self,
            latency_ms_p50=float(np.percentile(samples, 50)),
            latency_ms_p90=_percentile(samples, 90, _MIN_SAMPLES_P90),
            latency_ms_p99=_percentile(samples, 99, _MIN_SAMPLES_P99),
            throughput_img_s=statistics.median(
                1e3 * self.batch * len(turn) / sum(turn) for turn in turns.calls
            ),
            samples=len(samples),
            rounds=len(calls),
            round_latency_ms_p50=tuple(map(statistics.median, turns.calls)),
            latency_ms_deciles=_deciles(samples),
        )
        if not turns.launches:
            return row
        samples = np.concatenate([np.asarray(turn) for turn in turns.launches])
        return replace(
            row,
            gpu_ms_p50=float(np.percentile(samples, 50)),
            gpu_ms_p90=_percentile(samples, 90, _MIN_SAMPLES_P90),
            gpu_ms_p99=_percentile(samples, 99, _MIN_SAMPLES_P99),
            round_gpu_ms_p50=tuple(map(statistics.median, turns.launches)),
        )


@dataclass(frozen=True)
class Turns:
    """All times of one candidate at one batch size."""

    calls: Milliseconds
    launches: Milliseconds = ()  # the GPU's own times; empty on a CPU

    def __add__(self, later: Turns) -> Turns:
        return Turns(self.calls + later.calls, self.launches + later.launches)


@dataclass(frozen=True)
class Judged:
    """The finalists and their last rounds, which judge and were not used to choose."""

    names: tuple[str, ...]
    batch: int
    loads: int  # fresh loads of each finalist
    rounds: int  # rounds of each load

    @property
    def total(self) -> int:
        """Number of rounds of each finalist that judge."""
        return self.loads * self.rounds


@dataclass(frozen=True)
class BenchmarkResult:
    """All rows, the runtimes they were measured in, and how quiet the machine was."""

    rows: tuple[TimedRow, ...]
    runtimes: tuple[RuntimeInfo, ...]  # one per candidate and batch, in the order of `rows`
    other_load_pct: float | None = None  # share of the cores taken by others; None if unknown
    judged: Judged | None = None  # None if all rounds choose
    throttled_periods: int | None = None  # periods that a CPU quota cut short; None without one
    # Candidates that the smallest batch size left behind: not timed at others, no memory.
    timed_once: tuple[str, ...] = ()
    # All times by artefact and batch, from which rows with more rounds are computed.
    turns: Mapping[tuple[str, int], Turns] = field(default_factory=dict, repr=False, compare=False)

    def __add__(self, later: BenchmarkResult) -> BenchmarkResult:
        """Both together: `later` has other batch sizes, and judges nobody."""
        return replace(
            self,
            rows=self.rows + later.rows,
            runtimes=self.runtimes + later.runtimes,
            other_load_pct=largest_load_pct((self.other_load_pct, later.other_load_pct)),
            throttled_periods=sum_periods((self.throttled_periods, later.throttled_periods)),
            turns={**self.turns, **later.turns},
        )

    def row(self, artifact: str, batch: int) -> TimedRow:
        """Find one row.

        Raises:
            KeyError: There is none.
        """
        for row in self.rows:
            if row.artifact == artifact and row.batch == batch:
                return row
        raise KeyError(f"no benchmark of '{artifact}' at batch {batch}")

    def selecting_ms(self, artifact: str, batch: int) -> float:
        """Median latency of the rounds that choose: the median of the rounds' medians.

        Raises:
            KeyError: There is no such row.
        """
        rounds = self.row(artifact, batch).round_latency_ms_p50
        return statistics.median(rounds[: self.selecting(artifact, batch)])

    def selecting_gpu_ms(self, artifact: str, batch: int) -> float | None:
        """The median of `selecting_ms` in the GPU's own time; None if it did not run on a GPU.

        Raises:
            KeyError: There is no such row.
        """
        rounds = self.row(artifact, batch).round_gpu_ms_p50
        return statistics.median(rounds[: self.selecting(artifact, batch)]) if rounds else None

    def selecting(self, artifact: str, batch: int) -> int:
        """The number of a row's rounds that choose; these are its first ones.

        Raises:
            KeyError: There is no such row.
        """
        rounds = len(self.row(artifact, batch).round_latency_ms_p50)
        return rounds - (self.judged.total if self.judges(artifact, batch) and self.judged else 0)

    def judges(self, artifact: str, batch: int) -> bool:
        """Whether a candidate has rounds that judge, at this batch size."""
        judged = self.judged
        return judged is not None and judged.batch == batch and artifact in judged.names


def make_row(
    candidate: Candidate, batch: int, threads: int, turns: Turns, memory: PeakMemory | None
) -> TimedRow:
    """Make the row of a candidate whose turns were timed.

    Args:
        candidate: Candidate that ran.
        batch: Images per inference.
        threads: CPU threads that it had.
        turns: Times of all its turns.
        memory: Memory of a process that runs only this candidate; None if it was not measured.
    """
    row = TimedRow(
        candidate=candidate,
        threads=threads,
        batch=batch,
        latency_ms_p50=0.0,
        latency_ms_p90=None,
        latency_ms_p99=None,
        throughput_img_s=0.0,
        samples=0,
        rounds=0,
        round_latency_ms_p50=(),
        size_bytes=candidate.model.path.stat().st_size,
        peak_memory_bytes=None,
        baseline_memory_bytes=None,
    )
    return row.with_memory(memory).timed(turns)


def _deciles(samples: NDArray[np.float64]) -> tuple[float, ...]:
    """The nine values between tenths of the samples; none of too few."""
    if len(samples) < _MIN_SAMPLES_P90:
        return ()
    return tuple(map(float, np.percentile(samples, range(10, 100, 10))))


def _percentile(samples: NDArray[np.float64], percent: float, needed: int) -> float | None:
    return float(np.percentile(samples, percent)) if len(samples) >= needed else None

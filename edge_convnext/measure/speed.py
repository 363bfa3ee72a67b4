"""Speed-ups between candidates, with their uncertainty.

The fastest of several looks faster than it is on the rounds that chose it. A graph that is loaded
again runs up to 1 % faster or slower, because its memory and threads are placed elsewhere. So the
finalists of a race are loaded afresh several times, and judged only on those rounds. A load is one
observation: the median of its rounds' ratios, each to the other graph in the same round. Estimate
and interval are both computed from these observations (`benchmarks/verdict_simulation.py`).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.intervals import median_interval

if TYPE_CHECKING:
    from edge_convnext.measure.timings import BenchmarkResult

__all__ = ["LOAD_NOISE", "Ratio", "in_the_running", "slowest_to_beat", "speedup"]

# The largest difference that two loads alone make between graphs of equal speed.
LOAD_NOISE = 0.03
_MOST_RIVALS = 12  # a limit, because every rival has to be loaded several times


@dataclass(frozen=True)
class Ratio:
    """A speed-up with its 95 % interval."""

    median: float  # over loads, or over rounds where there was one load
    ci95_lo: float | None  # None with fewer than 6 of them
    ci95_hi: float | None
    rounds: int
    loads: int = 1  # with 1, the interval leaves out the differences between loads


def speedup(result: BenchmarkResult, candidate: str, reference: str, batch: int) -> Ratio:
    """Estimate how many times faster than `reference` the candidate is, from paired rounds.

    If both were judged, the rounds that judge are used, else those that choose. If both ran on a
    GPU, the GPU's own times are used: copies and Python take the same time for both.

    Raises:
        KeyError: One of the two was not measured at this batch size.
    """
    judged = result.judged
    if not (judged and result.judges(candidate, batch) and result.judges(reference, batch)):
        return _estimate(*_selecting(result, candidate, reference, batch))
    fast, slow = _rounds(result, candidate, reference, batch)
    ratios = _pair(fast[-judged.total :], slow[-judged.total :])
    starts = range(0, judged.total, judged.rounds)
    loads = [statistics.median(ratios[start : start + judged.rounds]) for start in starts]
    return _estimate(loads, judged.total, judged.loads)


def slowest_to_beat(
    result: BenchmarkResult, candidate: str, rivals: Sequence[str], batch: int
) -> tuple[str, Ratio]:
    """The rival that the candidate beats least surely, and the speed-up over it.

    A candidate that beats this rival beats them all. So it need not be known which of several
    equally fast rivals is the fastest, and a wrong guess can't make the candidate look faster.

    Args:
        result: Result of a race with all of them.
        candidate: Candidate to compare.
        rivals: Names of the rivals, at least one.
        batch: Images per inference.

    Raises:
        KeyError: One of them was not measured at this batch size.
    """
    found = [(name, speedup(result, candidate, name, batch)) for name in rivals]
    return min(found, key=lambda one: (one[1].ci95_lo or 0.0, one[1].median))


def in_the_running(result: BenchmarkResult, names: Sequence[str], batch: int) -> list[str]:
    """Candidates that may be the fastest, by the rounds that choose; the fastest comes first.

    A candidate is out if it is slower than the leader beyond the interval and by more than a load
    can explain. Of the rest, the fastest twelve stay.

    Raises:
        KeyError: One was not measured at this batch size.
    """
    order = sorted(names, key=lambda name: result.selecting_ms(name, batch))
    leaders = _leaders(result, order, batch)
    near = [name for name in order if not _behind(result, name, leaders, batch)]
    return near[:_MOST_RIVALS]


def _leaders(result: BenchmarkResult, order: Sequence[str], batch: int) -> list[str]:
    """The fastest by latency and, if it is another one, the fastest by the GPU's own time."""
    on_gpu = {name: ms for name in order if (ms := result.selecting_gpu_ms(name, batch))}
    return list(dict.fromkeys([*order[:1], *sorted(on_gpu, key=lambda name: on_gpu[name])[:1]]))


def _behind(result: BenchmarkResult, name: str, leaders: Sequence[str], batch: int) -> bool:
    """Whether it was slower than a leader by more than the rounds and a load can explain."""
    slower = [_estimate(*_selecting(result, leader, name, batch)) for leader in leaders]
    return any((one.ci95_lo or one.median) > 1.0 + LOAD_NOISE for one in slower)


def _rounds(
    result: BenchmarkResult, candidate: str, reference: str, batch: int
) -> tuple[Sequence[float], Sequence[float]]:
    """Median latency of each round, of both candidates, by the same clock."""
    one, other = result.row(candidate, batch), result.row(reference, batch)
    if one.round_gpu_ms_p50 and other.round_gpu_ms_p50:
        return one.round_gpu_ms_p50, other.round_gpu_ms_p50
    return one.round_latency_ms_p50, other.round_latency_ms_p50


def _selecting(
    result: BenchmarkResult, candidate: str, reference: str, batch: int
) -> tuple[list[float], int, int]:
    """Ratios of the rounds that choose, the number of rounds, and the number of loads (1)."""
    fast, slow = _rounds(result, candidate, reference, batch)
    # What was left behind in the first rounds has no others; those that there are, are shared.
    shared = min(result.selecting(candidate, batch), result.selecting(reference, batch))
    ratios = _pair(fast[:shared], slow[:shared])
    return ratios, len(ratios), 1


def _pair(fast: Sequence[float], slow: Sequence[float]) -> list[float]:
    return [before / after for before, after in zip(slow, fast, strict=True)]


def _estimate(values: Sequence[float], rounds: int, loads: int) -> Ratio:
    low, high = median_interval(values) or (None, None)
    return Ratio(statistics.median(values), low, high, rounds, loads)

"""Race many candidates with few timings: successive halving over interleaved rounds.

Each rung times the candidates that are left, interleaved in one process, twice as long as the
rung before. A candidate falls out if it is slower than the leader beyond the interval over
rounds; at the end of every rung at least the slower half does. A rung is a cached stage: a search
that was killed goes on at its last rung, and a finished one is remembered for this machine. Rungs
that were timed while other programs were busy are not remembered.

Source: successive halving, Jamieson and Talwalkar, arXiv 1502.07943.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from edge_convnext.core.intervals import median_interval

__all__ = ["LAST_ROUNDS", "Lap", "Rounds", "Standing", "compare_with", "run_race"]

Rounds = Mapping[str, Sequence[float]]  # by candidate: median latency of each round, ms
_FIRST_ROUNDS = 4
LAST_ROUNDS = 32
_FINALISTS = 3


@dataclass(frozen=True)
class Lap:
    """The times of one candidate against the leader, in the last rung that it ran in."""

    latency_ms_p50: float  # median of the rounds' medians
    ratio: float  # latency over the leader's (`refine`: the plan to change): above 1 is slower
    ratio_ci95: tuple[float, float] | None  # None with fewer than 6 rounds
    rounds: int

    @property
    def tied(self) -> bool:
        """Whether the leader is not faster beyond the interval."""
        return self.ratio <= 1.0 or (self.ratio_ci95 is not None and self.ratio_ci95[0] <= 1.0)


@dataclass(frozen=True)
class Standing:
    """The result of a race."""

    laps: Mapping[str, Lap]  # by candidate, the fastest first
    finalists: tuple[str, ...]  # candidates of the last rung, the fastest first
    stopped: str  # why the race ended


def run_race(
    names: Sequence[str],
    measure: Callable[[Sequence[str], int], Rounds],
    limit_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    always: Collection[str] = (),
) -> Standing:
    """Race candidates until the leader is faster for sure, or few are left.

    Args:
        names: Unique names of the candidates, at least one.
        measure: Times some of them for a number of rounds, interleaved.
        limit_s: Seconds after which no further rung is begun; None is no limit.
        clock: Clock in seconds.
        always: Candidates that stay to the end, because others have to beat them.
    """
    deadline = math.inf if limit_s is None else clock() + limit_s
    left, rounds = list(names), _FIRST_ROUNDS
    laps: dict[str, Lap] = {}
    while True:
        found = compare(measure(left, rounds))
        laps.update(found)
        standing = sorted(found, key=lambda name: found[name].ratio)
        tied = [name for name in standing if found[name].tied]
        if rounds >= 2 * _FIRST_ROUNDS and len(tied) == 1:
            stopped = "the leader is faster than the rest beyond the interval"
        elif len(left) <= _FINALISTS + len(always) and rounds >= LAST_ROUNDS:
            stopped = f"the last {len(tied)} can't be told apart in {rounds} rounds"
        elif clock() >= deadline:
            stopped = f"the time limit of {limit_s:.0f} s"
        else:
            keep = max(_FINALISTS, math.ceil(len(left) / 2))
            left = (tied if rounds >= 2 * _FIRST_ROUNDS else standing)[:keep]
            left += [name for name in always if name not in left]
            rounds = min(2 * rounds, LAST_ROUNDS)
            continue
        order = sorted(laps, key=lambda name: (-laps[name].rounds, laps[name].ratio))
        finalists = standing[:_FINALISTS]
        finalists += [name for name in always if name not in finalists]
        return Standing({name: laps[name] for name in order}, tuple(finalists), stopped)


def compare(rounds: Rounds) -> dict[str, Lap]:
    """Compare every candidate with the fastest, round by round."""
    medians = {name: statistics.median(times) for name, times in rounds.items()}
    leader = rounds[min(medians, key=lambda name: medians[name])]
    return {name: compare_with(leader, times) for name, times in rounds.items()}


def compare_with(other: Sequence[float], times: Sequence[float]) -> Lap:
    """Compare a candidate with another one that was timed in the same rounds."""
    ratios = [own / its for own, its in zip(times, other, strict=True)]
    interval = median_interval(ratios)
    return Lap(statistics.median(times), statistics.median(ratios), interval, len(ratios))

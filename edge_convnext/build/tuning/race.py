"""Race many options with few timings: successive halving over interleaved rounds.

Each rung times what is left, interleaved in one process, twice as long as the rung before. An
option falls out when it is slower than the leader beyond the interval over rounds, and at the
end of every rung at least the slower half does. A rung is a cached stage: a search that was
killed goes on at the rung it was in, and a finished one is remembered for this machine, but for
what was timed while other programs were busy.

Source: successive halving, Jamieson and Talwalkar, arXiv 1502.07943.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from edge_convnext.core.intervals import median_interval

__all__ = ["Lap", "Standing", "run_race"]

Rounds = Mapping[str, Sequence[float]]  # by option: median latency of each round, ms
_FIRST_ROUNDS = 4
_LAST_ROUNDS = 32
_FINALISTS = 3


@dataclass(frozen=True)
class Lap:
    """How one option stood against the leader of the last rung that it ran in."""

    latency_ms_p50: float  # median over rounds of their medians
    ratio: float  # to the leader's: above 1 is slower
    ratio_ci95: tuple[float, float] | None  # None with fewer than 6 rounds
    rounds: int

    @property
    def tied(self) -> bool:
        """Whether the leader is not faster beyond the interval."""
        return self.ratio <= 1.0 or (self.ratio_ci95 is not None and self.ratio_ci95[0] <= 1.0)


@dataclass(frozen=True)
class Standing:
    """The result of a race."""

    laps: Mapping[str, Lap]  # every option, the fastest first
    finalists: tuple[str, ...]  # of the last rung, the fastest first
    stopped: str  # why it ended


def run_race(
    names: Sequence[str],
    measure: Callable[[Sequence[str], int], Rounds],
    limit_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    always: Collection[str] = (),
) -> Standing:
    """Race options until the leader stands apart from the rest, or few are left.

    Args:
        names: Of the options, unique; at least one.
        measure: Times some of them for a number of rounds, interleaved.
        limit_s: After which no further rung is begun.
        clock: In seconds.
        always: Options that stay to the end: what others have to beat.
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
        elif len(left) <= _FINALISTS + len(always) and rounds >= _LAST_ROUNDS:
            stopped = f"the last {len(tied)} can't be told apart in {rounds} rounds"
        elif clock() >= deadline:
            stopped = f"the time limit of {limit_s:.0f} s"
        else:
            keep = max(_FINALISTS, math.ceil(len(left) / 2))
            left = (tied if rounds >= 2 * _FIRST_ROUNDS else standing)[:keep]
            left += [name for name in always if name not in left]
            rounds = min(2 * rounds, _LAST_ROUNDS)
            continue
        order = sorted(laps, key=lambda name: (-laps[name].rounds, laps[name].ratio))
        finalists = standing[:_FINALISTS]
        finalists += [name for name in always if name not in finalists]
        return Standing({name: laps[name] for name in order}, tuple(finalists), stopped)


def compare(rounds: Rounds) -> dict[str, Lap]:
    """Set every option against the fastest, round by round."""
    medians = {name: statistics.median(times) for name, times in rounds.items()}
    leader = rounds[min(medians, key=lambda name: medians[name])]
    laps = {}
    for name, times in rounds.items():
        ratios = [own / best for own, best in zip(times, leader, strict=True)]
        interval = median_interval(ratios)
        laps[name] = Lap(medians[name], statistics.median(ratios), interval, len(ratios))
    return laps

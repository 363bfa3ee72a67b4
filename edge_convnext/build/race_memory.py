"""The times of a quick race, remembered, and what they are worth.

A race that other programs or a CPU quota disturbed is a guess. It is remembered too, so that two
builds on a machine that is always busy ship the same graph. The first build that finds the machine
quiet races once more, and what is timed then without a disturbance takes the guess's place.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_convnext.core.contention import QUIET_PCT, why_skewed
from edge_convnext.measure.quiet import measure_load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_convnext.build.runner import Runner
    from edge_convnext.core.step import Stage

__all__ = ["Remembered", "race_or_remember"]

_LOAD, _THROTTLED, _DATE = "other_load_pct", "throttled_periods", "date"
_BEFORE = "skewed_before"


@dataclass(frozen=True)
class Remembered:
    """A race, timed now or earlier on this machine."""

    rounds: Mapping[str, Sequence[float]]  # by candidate: median latency of each round, ms
    load_pct: float | None  # of the CPU that other programs took meanwhile; None: unknown
    throttled_periods: int | None = None  # in which a CPU quota stopped it; None without one
    date: str | None = None  # of an earlier build's race; None: this build's
    before: str | None = None  # what disturbed a race that this one replaced

    @property
    def skewed(self) -> str | None:
        """What disturbed it, so that the result is a guess; None where nothing is known to."""
        return why_skewed(self.load_pct, self.throttled_periods)

    def tell(self) -> str:
        """Sentences on when it was and what disturbed it; empty where nothing is to be told."""
        told = []
        if self.date is not None:
            told.append(f"An earlier build raced them, on {self.date}.")
        if self.skewed:
            told.append(
                f"The choice is a guess, for {self.skewed} meanwhile; it is kept until a build "
                "finds the machine quiet, which races again."
            )
        elif self.before is not None:
            told.append(f"A race before was disturbed: {self.before}. This one was not.")
        return " ".join(told)


def race_or_remember(
    runner: Runner, stage: Stage, race: Callable[[], dict[str, Any]], key: Mapping[str, Any]
) -> Remembered:
    """Race, or take the times of an earlier race on this machine.

    Args:
        runner: Runner whose cache remembers.
        stage: Stage of the race.
        race: Times all candidates: `rounds` by candidate, and `other_load_pct` and
            `throttled_periods` meanwhile.
        key: JSON-able values that tell one race from another.
    """
    today = {_DATE: dt.date.today().isoformat()}
    entry = runner.run(stage, lambda _folder: {**race(), **today}, key=key)
    found = _read(entry.result, earlier=entry.cached)
    if not (entry.cached and found.skewed and _is_quiet()):
        return found
    again = race()
    if _read(again).skewed:  # no better than the guess, which has the older claim
        return found
    runner.cache.forget(stage.folder or stage.name, entry.key)
    result = {**again, **today, _BEFORE: found.skewed}
    return _read(runner.run(stage, lambda _folder: result, key=key).result)


def _is_quiet() -> bool:
    """Whether the machine is quiet now; where its load can't be read, nobody knows."""
    load_pct = measure_load()
    return load_pct is not None and load_pct <= QUIET_PCT


def _read(result: Mapping[str, Any], *, earlier: bool = False) -> Remembered:
    """Of an entry of the cache; older ones tell neither a load nor a date."""
    date = result.get(_DATE, "a day that was not written down") if earlier else None
    return Remembered(
        result["rounds"], result.get(_LOAD), result.get(_THROTTLED), date, result.get(_BEFORE)
    )

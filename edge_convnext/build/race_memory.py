"""The times of a quick race, remembered, and what they are worth.

A race on a busy machine is a guess. It is remembered too, so that two builds on a machine that is
always busy ship the same graph. The first build that finds the machine quiet races once more, and
what is timed then without a disturbance takes the guess's place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_convnext.core.contention import QUIET_PCT
from edge_convnext.measure.quiet import measure_load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_convnext.build.runner import Runner
    from edge_convnext.core.step import Stage

__all__ = ["Remembered", "race_or_remember"]

_LOAD, _BEFORE = "other_load_pct", "busy_before_pct"


@dataclass(frozen=True)
class Remembered:
    """A race, timed now or earlier on this machine."""

    rounds: Mapping[str, Sequence[float]]  # by candidate: median latency of each round, ms
    load_pct: float | None  # of the CPU that other programs took meanwhile; None: unknown
    before_pct: float | None = None  # the same of a race that this one replaced

    @property
    def busy(self) -> bool:
        """Whether other programs took so much that the result is a guess."""
        return (self.load_pct or 0.0) > QUIET_PCT

    def tell(self) -> str:
        """A sentence on the load, for a report; empty where nothing is to be told of it."""
        if self.busy:
            return (
                f"Other programs took {self.load_pct:.0f} % of the CPU meanwhile, so the choice is "
                "a guess; it is kept until a build finds the machine quiet, which races again."
            )
        if self.before_pct is not None:
            known = self.load_pct is not None
            now = f", with other programs at {self.load_pct:.0f} % of the CPU" if known else ""
            return (
                f"This was raced again on a quiet machine{now}: they took {self.before_pct:.0f} % "
                "in the race before, whose choice was a guess."
            )
        return ""


def race_or_remember(
    runner: Runner, stage: Stage, race: Callable[[], dict[str, Any]], key: Mapping[str, Any]
) -> Remembered:
    """Race, or take the times of an earlier race on this machine.

    Args:
        runner: Runner whose cache remembers.
        stage: Stage of the race.
        race: Times all candidates: `rounds` by candidate, and `other_load_pct` meanwhile.
        key: JSON-able values that tell one race from another.
    """
    entry = runner.run(stage, lambda _folder: race(), key=key)
    found = _read(entry.result)
    if not (entry.cached and found.busy and _is_quiet()):
        return found
    again = race()
    if _read(again).busy:  # no better than the guess, which has the older claim
        return found
    runner.cache.forget(stage.folder or stage.name, entry.key)
    result = {**again, _BEFORE: found.load_pct}
    return _read(runner.run(stage, lambda _folder: result, key=key).result)


def _is_quiet() -> bool:
    """Whether the machine is quiet now; where its load can't be read, nobody knows."""
    load_pct = measure_load()
    return load_pct is not None and load_pct <= QUIET_PCT


def _read(result: Mapping[str, Any]) -> Remembered:
    """Of an entry of the cache; older ones say nothing of a load."""
    return Remembered(result["rounds"], result.get(_LOAD), result.get(_BEFORE))

"""Changes of a plan in a race: which look faster, and which are raced once more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.build.tuning.trials import WORTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_convnext.build.tuning.changes import Change
    from edge_convnext.build.tuning.lab import Checked
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.halving import Lap

__all__ = ["NEARER_DB", "Entry", "is_faster", "is_tied", "list_hopeful", "looks_faster", "show"]

NEARER_DB = 1.0  # less is no clear difference: other images shift an SQNR by some tenths
_TIE = 1.05  # what may be so much slower, by the interval, does not count as being as fast
_MOST_DUELS = 3  # after each race, of changes that looked faster; and as many of those nearer


@dataclass
class Entry:
    """One change in one race."""

    change: Change
    option: Candidate | None = None  # None where it was not raced
    near_db: float = -math.inf  # to the float graph, with few images, in ONNX Runtime
    lap: Lap | None = None  # against the plan that it changes
    again: bool = False  # whether it was raced once more, with the plan alone
    checked: Checked | None = None
    reason: str = ""

    @property
    def slower(self) -> bool:
        """Whether it is slower for sure, or was not timed."""
        if self.lap is None:
            return True
        return self.lap.ratio_ci95[0] > 1.0 if self.lap.ratio_ci95 else self.lap.ratio > WORTH


def list_hopeful(entries: Iterable[Entry], own_db: float) -> list[Entry]:
    """Changes that may be kept: those that looked faster, then the nearer of those as fast.

    Few rounds tell little, so that the second race decides; what is faster for sure comes first.

    Args:
        entries: Changes of one race.
        own_db: SQNR of the plan that they change, as of `Entry.near_db`.
    """
    faster = [one for one in entries if looks_faster(one)]
    nearer = [
        one
        for one in entries
        if one not in faster and not one.slower and one.near_db - own_db >= NEARER_DB
    ]
    faster.sort(key=lambda one: (not is_faster(one.lap), one.lap.ratio) if one.lap else (True, 0))
    nearer.sort(key=lambda one: -one.near_db)
    return faster[:_MOST_DUELS] + nearer[:_MOST_DUELS]


def looks_faster(one: Entry) -> bool:
    """By few rounds, whatever the interval."""
    return one.lap is not None and one.lap.ratio * WORTH <= 1.0


def is_faster(lap: Lap) -> bool:
    """Beyond the interval, and enough to be worth another plan."""
    shown = lap.ratio_ci95 is not None and lap.ratio_ci95[1] < 1.0
    return shown and lap.ratio * WORTH <= 1.0


def is_tied(lap: Lap) -> bool:
    """Not slower beyond the interval, and that is narrow: on a busy machine it tells little."""
    if lap.ratio_ci95 is None:
        return False
    low, high = lap.ratio_ci95
    return low <= 1.0 and high <= _TIE and lap.ratio <= WORTH


def show(lap: Lap | None) -> str:
    """A ratio with its interval, for readers."""
    if lap is None:
        return "not timed"
    interval = "" if lap.ratio_ci95 is None else " [{:.2f}, {:.2f}]".format(*lap.ratio_ci95)
    return f"{lap.ratio:.2f}x{interval}"

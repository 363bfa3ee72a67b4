"""Wait until other programs use little CPU: before a race, and again after a disturbed one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from edge_convnext.core.contention import QUIET_PCT, CpuClock, other_load_pct, read_cpu_clock
from edge_convnext.core.progress import Track, tell, untracked

__all__ = ["Watch", "measure_load", "race_in_quiet", "tell_load", "wait_until_quiet"]

T = TypeVar("T")
_GLANCE_S = 0.3  # enough to tell a busy machine, too short to call one quiet
_WINDOW_S = 5.0  # time that has to be quiet; a shorter one may fall between two bursts of work


@dataclass(frozen=True)
class Watch:
    """The clock, the sleep and the load reading that waiting uses; tests replace them."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    read: Callable[[], CpuClock | None] = read_cpu_clock


def race_in_quiet(
    race: Callable[[], T],
    minutes: float,
    load: Callable[[T], float | None],
    track: Track = untracked,
    watch: Watch | None = None,
) -> T:
    """Race once the machine is quiet, and again if it did not stay quiet.

    Args:
        race: Function that times all candidates.
        minutes: Longest time to wait in all, with the races in between; 0 races at once. After
            this time only a first race is still started.
        load: Gives the percentage of the CPU that other programs took during a race, or None.
        track: Shows the waiting.
        watch: Clock and load; None takes the machine's own.

    Returns:
        The race that other programs disturbed least.
    """
    if minutes <= 0:
        return race()
    watch = watch or Watch()
    end_s = watch.now() + 60.0 * minutes
    wait_until_quiet(end_s, track, watch)
    best = race()
    while _known(load(best)) > QUIET_PCT and wait_until_quiet(end_s, track, watch):
        best = min(best, race(), key=lambda one: _known(load(one)))
    return best


def tell_load(track: Track, remedy: str, watch: Watch | None = None) -> None:
    """Say before a race that other programs take CPU time, while that can still be changed.

    Args:
        track: Shows the line.
        remedy: Words on what to do, the end of the line.
        watch: Clock and load; None takes the machine's own.
    """
    watch = watch or Watch()
    load = _look(watch.now() + _GLANCE_S, watch)
    if load is not None and load > QUIET_PCT:
        tell(track, f"other programs take {load:.0f} % of the CPU: {remedy}")


def measure_load(watch: Watch | None = None) -> float | None:
    """Percentage of the CPU that other programs take now; None if unknown.

    A glance is enough where they take much. To call the machine quiet takes some seconds.
    """
    watch = watch or Watch()
    load = _look(watch.now() + _GLANCE_S, watch)
    return _look(watch.now() + _WINDOW_S, watch) if _known(load) <= QUIET_PCT else load


def wait_until_quiet(end_s: float, track: Track, watch: Watch) -> bool:
    """Wait until the load of other programs is low for some seconds.

    Args:
        end_s: Time of `watch` to give up at, in seconds.
        track: Shows the waiting, once there is something to wait for.
        watch: Clock and load.

    Returns:
        True if the machine became quiet in time, or if its load can't be read.
    """
    load = _look(end_s, watch)
    if watch.now() >= end_s:
        return False
    if load is None or load <= QUIET_PCT:
        return True
    windows = int((end_s - watch.now()) / _WINDOW_S) + 1
    what = f"other programs take {load:.0f} % of the CPU: waiting for a quiet machine"
    for _ in track(range(windows), what, windows):
        load = _look(end_s, watch)
        if watch.now() >= end_s:
            return False
        if load is None or load <= QUIET_PCT:
            return True
    return False


def _look(end_s: float, watch: Watch) -> float | None:
    """Percentage of the CPU that other programs take in the next seconds; None if unknown."""
    before = watch.read()
    watch.sleep(max(0.0, min(_WINDOW_S, end_s - watch.now())))
    return other_load_pct(before, watch.read())


def _known(load_pct: float | None) -> float:
    return load_pct or 0.0

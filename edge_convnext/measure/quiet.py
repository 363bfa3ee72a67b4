"""Wait until other programs leave the CPU alone: before a race, and again after a busy one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from edge_convnext.core.contention import QUIET_PCT, CpuClock, other_load_pct, read_cpu_clock
from edge_convnext.core.progress import Track, untracked

__all__ = ["Watch", "race_in_quiet", "wait_until_quiet"]

T = TypeVar("T")
_WINDOW_S = 5.0  # that has to be quiet: shorter ones are quiet between two bursts


@dataclass(frozen=True)
class Watch:
    """What tells time and load, and how to let time pass."""

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
    """Race once the machine is quiet, and again where it did not stay so.

    Args:
        race: Times everything.
        minutes: At most so long it is waited in all, races between included; 0 races at once.
            After it no race is started, but for the first.
        load: Share of the CPU that other programs took during a race, percent; None if unknown.
        track: Shows the waiting.
        watch: None: the machine's own.

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


def wait_until_quiet(end_s: float, track: Track, watch: Watch) -> bool:
    """Look at the load of other programs for some seconds at a time.

    Args:
        end_s: When to give up, by the watch.
        track: Shows the waiting, once there is something to wait for.
        watch: Time and load.

    Returns:
        Whether the machine is quiet, and so early enough; True where its load can't be read.
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
    """Share of the CPU that other programs take in the next seconds."""
    before = watch.read()
    watch.sleep(max(0.0, min(_WINDOW_S, end_s - watch.now())))
    return other_load_pct(before, watch.read())


def _known(load_pct: float | None) -> float:
    return load_pct or 0.0

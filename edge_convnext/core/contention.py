"""How much of the processor other work took while something was timed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "QUIET_PCT",
    "CpuClock",
    "largest_load_pct",
    "other_load_pct",
    "read_cpu_clock",
    "why_skewed",
]

QUIET_PCT = 10.0  # above it no speed is trusted, by the verdict, the gate and `quiet`

_STAT = Path("/proc/stat")
# user, nice, system, irq, softirq, steal; not idle, iowait, nor guest, which user includes
_BUSY_FIELDS = (0, 1, 2, 5, 6, 7)


@dataclass(frozen=True)
class CpuClock:
    """One reading, in seconds."""

    wall: float
    own: float  # CPU time of this process
    busy: float  # CPU time of everything, on the cores this process may use
    cores: int


def read_cpu_clock() -> CpuClock | None:
    """Read the clocks, or None where there is no /proc/stat."""
    try:
        lines = _STAT.read_text().splitlines()
    except OSError:
        return None
    mine = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    fields = [line.split()[1:] for line in lines if line.split(maxsplit=1)[0] in mine]
    ticks = sum(int(core[index]) for core in fields for index in _BUSY_FIELDS)
    busy = ticks / os.sysconf("SC_CLK_TCK")
    return CpuClock(time.monotonic(), time.process_time(), busy, len(mine))


def other_load_pct(before: CpuClock | None, after: CpuClock | None) -> float | None:
    """Share of the cores' time that other processes took between two readings, in percent.

    Returns:
        None where the clocks can't be read, or no time has passed.
    """
    if before is None or after is None or after.wall <= before.wall:
        return None
    others = (after.busy - before.busy) - (after.own - before.own)
    capacity = after.cores * (after.wall - before.wall)
    return min(100.0, max(0.0, 100.0 * others / capacity))


def largest_load_pct(loads_pct: Iterable[float | None]) -> float | None:
    """The largest of the known loads; None where none is known."""
    return max((load for load in loads_pct if load is not None), default=None)


def why_skewed(other_load_pct: float | None, throttled_periods: int | None = None) -> str | None:
    """Explain why timings are not reliable; None where no reason is known.

    A busy machine slows some runtimes far more than others. A process that its CPU quota stops
    in the middle of an inference times the stop too. Both skew ratios.

    Args:
        other_load_pct: Share of the CPU that other programs took then; None if unknown.
        throttled_periods: Periods in which a CPU quota stopped this process; None without a quota.
    """
    reasons = []
    if other_load_pct is not None and other_load_pct > QUIET_PCT:
        reasons.append(
            f"other programs took {other_load_pct:.0f} % of the CPU (at most {QUIET_PCT:g} % is "
            "quiet)"
        )
    if throttled_periods:
        reasons.append(f"the CPU quota stopped this process in {throttled_periods:,} periods")
    return " and ".join(reasons) or None

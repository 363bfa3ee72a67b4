"""How much processor time this process's control groups grant: `docker --cpus`, Kubernetes limits.

Under a quota of one CPU a process sees as many cores as before. Once its threads have used up the
quota, it is stopped for the rest of the period, mostly 100 ms. Two threads use it up in half the
time, and then wait for the other half. With INT8, two visible cores and a quota of one, p50 was
0.77 ms, p99 51 ms and the rate 558 images/s, where one thread gives 1,164.

Source: the kernel's Documentation/admin-guide/cgroup-v2.rst (`cpu.max`, `cpu.stat`) and
scheduler/sched-bwc.rst (version 1); proc(5) for `mountinfo`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath

__all__ = [
    "free_memory_bytes",
    "read_cpu_quota",
    "read_throttling",
    "sharing_cores",
    "sum_periods",
    "throttled_since",
    "usable_cores",
]

_ROOT = Path("/")
_ESCAPED = re.compile(r"\\([0-7]{3})")  # blanks in `mountinfo`
_DEEPEST = 64  # levels of control groups
# Processes of one build that share the cores now.
_SHARERS: ContextVar[int] = ContextVar("sharers", default=1)


def usable_cores(root: Path = _ROOT) -> int:
    """Cores this process may keep busy: fewer than there are under taskset, cpusets or a quota.

    With a quota of 1.5 CPUs, one thread uses two thirds of it and is never stopped. Two threads
    are stopped in each period, and an image that waits for the next period takes tens of
    milliseconds longer.

    Args:
        root: Root of the file system, as in `read_cpu_quota`.
    """
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = read_cpu_quota(root)
    usable = min(seen or 1, math.floor(quota) if quota is not None else seen or 1)
    return max(1, usable // _SHARERS.get())


@contextmanager
def sharing_cores(processes: int) -> Iterator[None]:
    """Leave cores to other processes of the same build: `usable_cores` is a share in the block.

    Threads of two processes that wait by spinning slow each other to half and less. It holds for
    this thread, not for those that it starts, nor for children.

    Args:
        processes: Number of those that share the cores, this one among them.
    """
    before = _SHARERS.set(processes)
    try:
        yield
    finally:
        _SHARERS.reset(before)


def read_cpu_quota(root: Path = _ROOT) -> float | None:
    """Number of CPUs that the tightest control group grants; None: no limit.

    Args:
        root: Root of the file system whose `/proc` and `/sys` are read.
    """
    quotas = [quota for group in _groups(root) if (quota := _quota(group)) is not None]
    return min(quotas, default=None)


def free_memory_bytes(root: Path = _ROOT) -> int | None:
    """Bytes that new work can have without swapping; None where the system does not say.

    Args:
        root: Root of the file system, as in `read_cpu_quota`.
    """
    try:
        text = (root / "proc/meminfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^MemAvailable: *(\d{1,15}) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def read_throttling(root: Path = _ROOT) -> int | None:
    """Count how often the control groups have stopped this process, or others in them.

    Args:
        root: Root of the file system, as in `read_cpu_quota`.

    Returns:
        Number of periods in which a quota was used up; None where there is no quota.
    """
    limited = [group for group in _groups(root) if _quota(group) is not None]
    return sum_periods(map(_throttled_periods, limited))


def throttled_since(before: int | None, root: Path = _ROOT) -> int | None:
    """Periods in which a quota stopped this process since `read_throttling` gave `before`."""
    after = read_throttling(root)
    return None if before is None or after is None else max(0, after - before)


def sum_periods(counts: Iterable[int | None]) -> int | None:
    """Sum of the known numbers; None where none is known."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _groups(root: Path) -> Iterator[Path]:
    """This process's control groups of the CPU controller and all above that can be seen."""
    memberships = _memberships(_text(root / "proc/self/cgroup"))
    for line in _text(root / "proc/self/mountinfo").splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.partition(" ")
        name = "" if kind == "cgroup2" else "cpu"
        known = kind == "cgroup2" or (kind == "cgroup" and "cpu" in re.split("[ ,]", options))
        if not known or name not in memberships or len(fields.split()) < 5:
            continue
        mounted, point = map(_unescape, fields.split()[3:5])
        yield from _upwards(root / point.lstrip("/"), mounted, memberships[name])


def _memberships(text: str) -> dict[str, str]:
    """Path of this process's group, by controller; of version 2 under the empty name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def _upwards(point: Path, mounted: str, group: str) -> Iterator[Path]:
    """From a group's folder to where its tree is mounted.

    A container may be given a path of the host, of which only the last part is mounted, or one
    outside of what it sees. Then the mount is its group.
    """
    inside = PurePosixPath(group)
    if inside.is_relative_to(mounted) and ".." not in inside.parts:
        inside = inside.relative_to(mounted)
    else:
        inside = PurePosixPath()
    folder = point / inside
    for _ in range(min(len(inside.parts), _DEEPEST)):
        yield folder
        folder = folder.parent
    yield point


def _quota(group: Path) -> float | None:
    """Number of CPUs that a group grants; None: no limit, or not readable."""
    limit, _, period = _text(group / "cpu.max").strip().partition(" ")
    if not limit:
        limit = _text(group / "cpu.cfs_quota_us").strip()
        period = _text(group / "cpu.cfs_period_us").strip()
    if not (limit.isdecimal() and period.isdecimal() and int(limit) and int(period)):
        return None  # "max", or -1
    return int(limit) / int(period)


def _throttled_periods(group: Path) -> int | None:
    for line in _text(group / "cpu.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "nr_throttled" and value.isdecimal():
            return int(value)
    return None


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

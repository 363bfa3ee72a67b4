"""Memory on a board: what a builder may take of what is free, what fits into it together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["split_to_fit", "workspace_mib"]

_MIB = 1 << 20
_USED_SHARE = 0.6  # of what is free; the rest is for images, logits and other programs
_WORKSPACE_SHARE = 0.5  # a GPU of a Jetson has the memory of the CPU; weights and plan come on top
_LEAST_WORKSPACE_MIB = 64  # below, builders find no kernels at all


def workspace_mib(free_bytes: int | None) -> int | None:
    """The scratch memory that a builder of engines may take, in MiB; None: no limit is known."""
    if free_bytes is None:
        return None
    return max(_LEAST_WORKSPACE_MIB, int(free_bytes * _WORKSPACE_SHARE) // _MIB)


def split_to_fit(
    names: Sequence[str],
    peaks: Mapping[str, int],
    free_bytes: int | None,
    deaths: int = 0,
) -> list[list[str]]:
    """Split candidates into groups that are held in memory together; the first is in every one.

    Args:
        names: Candidates, at least one.
        peaks: Bytes that a process of one candidate alone needs; unknown ones count as nothing.
        free_bytes: Bytes that are free; None: all are held together.
        deaths: Number of times that the process died with these in memory: each halves a group.
    """
    first, *others = names
    room = float("inf") if free_bytes is None else free_bytes * _USED_SHARE
    room -= peaks.get(first, 0)
    most = max(1, len(others) >> deaths)
    groups: list[list[str]] = []
    taken = 0
    for name in others:
        size = peaks.get(name, 0)
        if not groups or taken + size > room or len(groups[-1]) > most:
            groups.append([first])
            taken = 0
        groups[-1].append(name)
        taken += size
    return groups or [[first]]

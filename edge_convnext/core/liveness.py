"""The memory of the values of a running graph: each is held from its making to its last use."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

__all__ = ["largest_at_a_time"]

Value = TypeVar("Value", bound=Hashable)


def largest_at_a_time(
    sizes: Mapping[Value, int], steps: Sequence[tuple[Sequence[Value], Sequence[Value]]]
) -> int:
    """The most bytes that values take at one time; what no step makes does not count.

    Args:
        sizes: Bytes of the values; of one that is not here they are not counted.
        steps: Values that each operation reads and makes, in the order in which they run. A graph's
            input is made by a first step, and outputs that are held to the end are read by a last.
    """
    made = {value for _, outputs in steps for value in outputs}
    last_use = {value: at for at, (inputs, _) in enumerate(steps) for value in inputs}
    alive: set[Value] = set()
    most = 0
    for at, (inputs, outputs) in enumerate(steps):
        alive |= {*outputs, *(one for one in inputs if one in made)}
        most = max(most, sum(sizes.get(one, 0) for one in alive))
        alive = {one for one in alive if last_use.get(one, -1) > at}
    return most

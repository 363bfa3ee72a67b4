"""The cheapest cut of a network of pipes: which vertices are on the sink's side.

Source: E. A. Dinic, Algorithm for solution of a problem of maximum flow in networks with power
estimation, 1970.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

__all__ = ["Pipes"]

_MORE_THAN_ANY = 1 << 60


@dataclass
class Pipes:
    """Vertices by number; 0 is the source and 1 the sink."""

    _heads: list[int] = field(default_factory=list)  # of pipe i; i ^ 1 leads back
    _rooms: list[int] = field(default_factory=list)
    _out: list[list[int]] = field(default_factory=lambda: [[], []])

    def vertex(self) -> int:
        """A new vertex."""
        self._out.append([])
        return len(self._out) - 1

    def join(self, tail: int, head: int, cost: int | None = None) -> None:
        """Cutting between `tail` on the source's side and `head` on the sink's has a cost.

        Args:
            tail: Vertex that the pipe leaves.
            head: Vertex that it leads to.
            cost: Cost of the cut; None forbids it.
        """
        for end, start, room in ((head, tail, cost), (tail, head, 0)):
            self._out[start].append(len(self._heads))
            self._heads.append(end)
            self._rooms.append(_MORE_THAN_ANY if room is None else room)

    def sink_side(self) -> frozenset[int]:
        """Vertices on the sink's side; of equally cheap cuts, of the one with the fewest."""
        while (depths := self._depths())[1] >= 0:
            self._fill(depths)
        found, waiting = {1}, [1]
        while waiting:
            for pipe in self._out[waiting.pop()]:
                tail = self._heads[pipe]
                if self._rooms[pipe ^ 1] and tail not in found:
                    found.add(tail)
                    waiting.append(tail)
        return frozenset(found)

    def _depths(self) -> list[int]:
        """Steps from the source through pipes that have room; -1 where none leads."""
        depths = [-1] * len(self._out)
        depths[0] = 0
        waiting = deque([0])
        while waiting:
            vertex = waiting.popleft()
            for pipe in self._out[vertex]:
                head = self._heads[pipe]
                if self._rooms[pipe] and depths[head] < 0:
                    depths[head] = depths[vertex] + 1
                    waiting.append(head)
        return depths

    def _fill(self, depths: list[int]) -> None:
        """Send all that fits through paths without a detour."""
        tried = [0] * len(self._out)
        path: list[int] = []
        vertex = 0
        while True:
            if vertex == 1:
                room = min(self._rooms[pipe] for pipe in path)
                for pipe in path:
                    self._rooms[pipe] -= room
                    self._rooms[pipe ^ 1] += room
                path, vertex = [], 0
            onward = self._next(vertex, depths, tried)
            if onward is not None:
                path.append(onward)
                vertex = self._heads[onward]
            elif path:
                vertex = self._heads[path.pop() ^ 1]
                tried[vertex] += 1
            else:
                return

    def _next(self, vertex: int, depths: list[int], tried: list[int]) -> int | None:
        pipes = self._out[vertex]
        while tried[vertex] < len(pipes):
            pipe = pipes[tried[vertex]]
            if self._rooms[pipe] and depths[self._heads[pipe]] == depths[vertex] + 1:
                return pipe
            tried[vertex] += 1
        return None

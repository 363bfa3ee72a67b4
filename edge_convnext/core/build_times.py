"""How long each piece of work of the last builds took here, to tell what is left of the next one.

    <cache>/times/builds/entry.json    pieces of work by kind of build, in their order

Nothing is decided by it. A file that can't be read is as none, and one that can't be written is
left out.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.files import write_text_atomic
from edge_convnext.core.marks import make_marked

__all__ = ["BuildTimes", "Piece", "Watch", "merged"]

_MOST_BYTES = 1 << 20
_MOST_KINDS, _MOST_PIECES = 64, 300
_LONGEST = 200  # characters of a piece's name
_LEAST_S = 0.05  # shorter pieces are words, or come from the cache
_MOST_S = 30 * 86400.0  # a longer piece, or one of no number of seconds, was not timed here
_MISSED = 3  # builds in a row that did without a piece, which is dropped then


@dataclass(frozen=True)
class Piece:
    """One piece of work, and the time until the next one began."""

    what: str
    seconds: float
    missed: int = 0  # builds since that did without it: from the cache, or not asked for


class BuildTimes:
    """Pieces of the last builds; of several processes, the last to save wins."""

    def __init__(self, cache: Path) -> None:
        self._file = cache / "times" / "builds" / "entry.json"  # `cache info` and `prune` see it so

    def last(self, kind: str) -> tuple[Piece, ...]:
        """The pieces of the last builds of a kind, in their order; empty without one.

        Args:
            kind: Text that builds of about the same length share.
        """
        return tuple(self._read().get(kind, ()))

    def keep(self, kind: str, pieces: Sequence[Piece]) -> None:
        """Remember a finished build; pieces that came from the cache keep their earlier time."""
        kinds = self._read()
        kinds[kind] = list(merged(tuple(kinds.pop(kind, ())), pieces)[:_MOST_PIECES])
        newest = {
            name: [(one.what, round(one.seconds, 3), one.missed) for one in kept]
            for name, kept in list(kinds.items())[-_MOST_KINDS:]
        }
        with contextlib.suppress(OSError):
            folder = self._file.parent
            folder.parent.mkdir(parents=True, exist_ok=True)
            if not folder.exists():
                make_marked(folder)
            write_text_atomic(self._file, json.dumps(newest))

    def _read(self) -> dict[str, list[Piece]]:
        try:
            content = json.loads(read_text_bounded(self._file, _MOST_BYTES))
            return {
                kind: [one for one in map(_as_piece, pieces) if 0 <= one.seconds <= _MOST_S]
                for kind, pieces in content.items()
            }
        except (OSError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            return {}


class Watch:
    """Elapsed and remaining time of a build that is running.

    Pieces are told as they begin and end. Where one begins that the last build had, those before it
    count as done: they came from the cache.

    Args:
        known: Pieces of the last builds of this kind.
        now: Clock in seconds.
    """

    def __init__(self, known: Sequence[Piece], now: Callable[[], float] = time.monotonic) -> None:
        self._known, self._now = known, now
        self._started = now()
        self._at = -1  # the known piece that began last
        self._began = self._started  # when it did
        self._done: list[tuple[str, float]] = []  # pieces with the time at which they began
        self._depth = 0
        self._current = ("", self._started)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the build began."""
        return self._now() - self._started

    @property
    def left_s(self) -> float | None:
        """Seconds that are left by the last builds; None where there was none."""
        if not self._known:
            return None
        later = sum(one.seconds for one in self._known[self._at + 1 :])
        if self._at < 0:
            return later
        return later + max(0.0, self._known[self._at].seconds - (self._now() - self._began))

    def begin(self, what: str) -> None:
        """Tell that a piece of work begins; inside another one, it is a part of that."""
        self._depth += 1
        if self._depth > 1:
            return
        self._current = (what[:_LONGEST], self._now())
        names = [one.what for one in self._known]
        if self._current[0] in names[self._at + 1 :]:
            self._at = names.index(self._current[0], self._at + 1)
            self._began = self._now()

    def end(self) -> None:
        """Tell that the piece that began last is done."""
        self._depth -= 1
        what, began = self._current
        if self._depth == 0 and what and self._now() - began >= _LEAST_S:
            self._done.append((what, began))

    def pieces(self) -> tuple[Piece, ...]:
        """What was done so far, with the time of each until the next one began."""
        ends = [*(began for _, began in self._done[1:]), self._now()]
        return (
            tuple(
                Piece(what, end - began)
                for (what, began), end in zip(self._done, ends, strict=True)
            )
            if self._done
            else ()
        )


def merged(known: Sequence[Piece], new: Sequence[Piece]) -> tuple[Piece, ...]:
    """The pieces of an earlier build with the times of a later one, and with those it had more.

    A piece that three finished builds in a row did without is dropped: it is no part of them any
    more. Fewer do not show that; it may come from the cache.

    Args:
        known: Pieces of earlier builds.
        new: Pieces of a later one, which leaves out what it took from the cache.
    """
    found = [replace(one, missed=one.missed + 1) for one in known]
    place = 0
    for one in new:
        names = [each.what for each in found]
        if one.what in names[place:]:
            place = names.index(one.what, place)
            found[place] = one
        else:
            found.insert(place, one)
        place += 1
    return tuple(one for one in found if one.missed < _MISSED)


def _as_piece(entry: Any) -> Piece:
    what, seconds, *missed = entry  # one of an older version has no third
    return Piece(str(what), float(seconds), int(missed[0]) if missed else 0)

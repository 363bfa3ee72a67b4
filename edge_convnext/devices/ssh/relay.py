"""The log of what runs on a board, relayed here line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report.summary import plain

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Relay"]


class Relay:
    """Turns bytes of the log into whole lines."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = b""
        self._asked_at = 0
        self.received = 0
        self.last = ""

    def add(self, piece: bytes) -> None:
        """Add bytes that arrived."""
        self.received += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            text = plain(line.decode("utf-8", errors="replace")).strip()
            if text:
                self.last = text
                self._say(text)

    def is_new(self) -> bool:
        """Whether anything arrived since the last call."""
        before, self._asked_at = self._asked_at, self.received
        return self.received > before

"""Benches that this process follows on boards, so that Ctrl-C and SIGTERM stop them there too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from edge_convnext.devices.ssh import client as ssh

__all__ = ["Followed", "following", "stop_all"]


class Followed(Protocol):
    """A bench on a board that can be stopped."""

    def stop(self) -> str:
        """Stop the bench; return a line about what is left on the board, empty where nothing is."""
        ...

    def unstopped(self) -> str:
        """A line for a bench that was not asked to stop."""
        ...


_PATIENCE_S = 20.0  # for all boards together; a bench is given 10 s to end
_live: list[Followed] = []
_asked = threading.Event()


@contextmanager
def following(session: Followed) -> Iterator[None]:
    """Register the session for `stop_all` while the block runs."""
    _live.append(session)
    try:
        yield
    finally:
        _live.remove(session)


def stop_all(say: Callable[[str], None]) -> None:
    """Stop every registered bench; one line for each says what is left on its board.

    A second call does not wait: it names the boards that were not asked to stop.
    """
    sessions = list(_live)
    if _asked.is_set():
        for session in sessions:
            say(session.unstopped())
        return
    _asked.set()
    lines: dict[int, str] = {}

    def stop(place: int, session: Followed) -> None:
        lines[place] = session.stop()

    threads = [threading.Thread(target=stop, args=one, daemon=True) for one in enumerate(sessions)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + _PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    for place, session in enumerate(sessions):
        if line := lines.get(place, session.unstopped()):
            say(line)
    ssh.end_clients()

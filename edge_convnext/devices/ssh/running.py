"""Benches that this process follows on boards, so that Ctrl-C and SIGTERM stop them there too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edge_convnext.devices.ssh import client as ssh

if TYPE_CHECKING:
    from edge_convnext.devices.ssh.session import Session

__all__ = ["following", "stop_all"]

_PATIENCE_S = 20.0  # for all boards together; a bench is given 10 s to end
_live: list[Session] = []
_asked = threading.Event()


@contextmanager
def following(session: Session) -> Iterator[None]:
    """While the block runs, `stop_all` knows of the session."""
    _live.append(session)
    try:
        yield
    finally:
        _live.remove(session)


def stop_all(say: Callable[[str], None]) -> None:
    """Stop every bench that is followed, and tell in one line each what is left on its board.

    A second call does not wait: it tells which boards were not told to stop.
    """
    sessions = list(_live)
    if _asked.is_set():
        for session in sessions:
            say(session.unstopped())
        return
    _asked.set()
    lines: dict[int, str] = {}

    def stop(place: int, session: Session) -> None:
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

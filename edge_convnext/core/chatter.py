"""Keep what a native library says at every start off the user's terminal."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_lines"]

_STDERR = 2
# Two threads in the block at once would leave stderr with what one of them put in its place.
_ALONE = threading.Lock()


@contextmanager
def without_lines(beginning: bytes) -> Iterator[None]:
    """Inside the block, lines on stderr that begin so are dropped; others come after it.

    It is for libraries that write to the file descriptor itself and have no switch. Whatever other
    threads write meanwhile comes after the block too.

    Args:
        beginning: First bytes of the lines to drop.
    """
    with _ALONE:
        yield from _hold_lines(beginning)


def _hold_lines(beginning: bytes) -> Iterator[None]:
    try:
        kept_open = os.dup(_STDERR)
    except OSError:  # a process without stderr
        yield
        return
    with tempfile.TemporaryFile() as held:
        _flush()
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            _flush()
            os.dup2(kept_open, _STDERR)
            os.close(kept_open)
            held.seek(0)
            for line in held:
                if not line.startswith(beginning):
                    os.write(_STDERR, line)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()

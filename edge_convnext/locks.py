"""Locks on folders that end with the process that holds them, however that ends.

They need no file, no process number and no clock, so that what a killed process left is told from
what another one is working on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["hold_lock"]


@contextmanager
def hold_lock(folder: Path, *, wait: bool = True) -> Iterator[bool | None]:
    """Hold the lock of a folder inside the block.

    Args:
        folder: Must exist, and be no symbolic link.
        wait: For whoever has it now.

    Yields:
        True: held. False: another holder has it, and there was no waiting. None: this system or
        file system has no such locks, and nobody holds them.

    Raises:
        OSError: The folder can't be opened, or is a link.
    """
    if sys.platform == "win32":
        yield None
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        held: bool | None = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            held = False
        except OSError:  # some network file systems lock no folders
            held = None
        yield held
    finally:
        os.close(descriptor)

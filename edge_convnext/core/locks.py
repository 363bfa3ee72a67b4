"""Locks on folders. A lock ends with the process that holds it, even if that is killed.

They need no file, no process number and no clock. With them, folders that a killed process left
can be distinguished from folders that another process works in.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["FolderLock", "hold_lock"]


class FolderLock:
    """A lock of a folder, held until `close`, or until this object or its process is gone."""

    def __init__(self, folder: Path, *, wait: bool = True, shared: bool = False) -> None:
        """Take it.

        Args:
            folder: Existing folder, not a symbolic link.
            wait: True waits until the present holder is done.
            shared: True takes it beside others that share it.

        Raises:
            OSError: The folder can't be opened, or is a link.
        """
        self.held: bool | None = None  # None: there are no such locks here; False: another has it
        self.close: Callable[[], Any] = lambda: None
        if sys.platform == "win32":
            return
        import fcntl

        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        self.close = weakref.finalize(self, os.close, self._descriptor)
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._descriptor, kind | (0 if wait else fcntl.LOCK_NB))
            self.held = True
        except BlockingIOError:
            self.held = False
        except OSError:  # some network file systems lock no folders
            self.held = None

    def share(self) -> None:
        """Let others share it from now on; no other process can hold it in between."""
        if sys.platform != "win32" and self.held:
            import fcntl

            fcntl.flock(self._descriptor, fcntl.LOCK_SH)


@contextmanager
def hold_lock(folder: Path, *, wait: bool = True) -> Iterator[bool | None]:
    """Hold the lock of a folder inside the block.

    Args:
        folder: Existing folder, not a symbolic link.
        wait: True waits until the present holder is done.

    Yields:
        True: held. False: another holder has it, and there was no waiting. None: this system or
        file system has no such locks, and none is held.

    Raises:
        OSError: The folder can't be opened, or is a link.
    """
    lock = FolderLock(folder, wait=wait)
    try:
        yield lock.held
    finally:
        lock.close()

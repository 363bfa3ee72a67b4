"""Locks on folders that end with the process that holds them, however that ends.

They need no file, no process number and no clock, so that what a killed process left is told from
what another one is working on.
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
            folder: Must exist, and be no symbolic link.
            wait: For whoever has it now.
            shared: Beside others that share it.

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
        """Let others share it from now on; nobody else can have had it in between."""
        if sys.platform != "win32" and self.held:
            import fcntl

            fcntl.flock(self._descriptor, fcntl.LOCK_SH)


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
    lock = FolderLock(folder, wait=wait)
    try:
        yield lock.held
    finally:
        lock.close()

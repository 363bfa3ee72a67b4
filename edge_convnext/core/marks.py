"""Folders that this program may remove: those that carry its mark. Names do not count.

A name proves nothing. A user's folder may have any name that a program would choose, and
`edge-convnext-2026-11-26` was one. So a folder that another process may later remove gets a file
inside that says so. A folder without that file is never removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import uuid
from pathlib import Path

__all__ = ["MARK", "is_marked", "make_marked", "mark", "remove_marked"]

MARK = ".edge-convnext-made-this"
_TEXT = "edge-convnext made this folder and removes it with all that is in it: {}\n"
_WRITTEN = re.compile(_TEXT.format("[0-9a-f]{32}"))
_MOST_BYTES = 200


def make_marked(folder: Path) -> None:
    """Make a folder that is this user's alone, with the mark in it.

    Raises:
        OSError: It is there already, or can't be made.
    """
    folder.mkdir(mode=0o700)
    try:
        mark(folder)
    except OSError:  # the disk is full: without a mark it would stay for ever
        with contextlib.suppress(OSError):
            (folder / MARK).unlink(missing_ok=True)
            folder.rmdir()
        raise


def mark(folder: Path) -> None:
    """Put the mark into a folder that this program has made."""
    (folder / MARK).write_text(_TEXT.format(uuid.uuid4().hex), encoding="ascii", newline="\n")


def is_marked(folder: Path) -> bool:
    """Whether this program made a folder as this user: no link, and the mark is in it."""
    try:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or not _is_mine(status):
            return False
        return _WRITTEN.fullmatch(_read(folder / MARK)) is not None
    except (OSError, ValueError):
        return False


def remove_marked(folder: Path) -> bool:
    """Remove a marked folder, the mark last: a kill in between leaves one that is marked.

    Returns:
        Whether it was marked. A folder without the mark stays as it is.
    """
    if not is_marked(folder):
        return False
    for path in sorted(folder.iterdir(), key=lambda one: one.name == MARK):
        with contextlib.suppress(OSError):  # another process removes it too
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()
    return True


def _is_mine(status: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or status.st_uid == os.getuid()


def _read(path: Path) -> str:
    """The text of a small regular file; neither a link nor a pipe is opened."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not _is_mine(status):
            return ""
        return file.read(_MOST_BYTES).decode("ascii")

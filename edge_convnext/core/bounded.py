"""Limits on what a file can cost this process: how much is read, and how much is allocated."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["bounded_memory", "read_text_bounded", "require_regular"]

_TEXT_BYTES = 256 << 20  # a baseline of a million images has 50 MB
_SPARE_BYTES = 1 << 30  # for imports and other allocations


def require_regular(path: Path) -> int:
    """Size of a file in bytes.

    Raises:
        OSError: It does not exist, or is not a file. A pipe would block, and a device has no end.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a file, but a pipe or a device", str(path))
    return status.st_size


def read_text_bounded(path: Path, limit_bytes: int = _TEXT_BYTES) -> str:
    """Read UTF-8 text of a file of bounded size, with or without a byte order mark.

    Raises:
        OSError: It can't be read, is no file, or larger than `limit_bytes`.
        UnicodeDecodeError: It is not UTF-8.
    """
    if require_regular(path) > limit_bytes:
        raise OSError(errno.EFBIG, f"Over {limit_bytes} bytes", str(path))
    return path.read_text(encoding="utf-8-sig")


@contextmanager
def bounded_memory(limit_bytes: int) -> Iterator[None]:
    """Let a block allocate so much, and a spare GiB; what asks for more gets `MemoryError`.

    The address space of the process is bounded. Only Linux enforces that. Elsewhere, and where
    the process may not set limits, nothing is bounded.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + limit_bytes + _SPARE_BYTES
    limit = min(limit, *(one for one in (soft, hard) if one != resource.RLIM_INFINITY), 1 << 62)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    except (OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

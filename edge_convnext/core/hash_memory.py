"""Remembered hashes of files, so that a second look at the same data reads no file again.

Only `edge-convnext check` uses it. A build reads every file again.

    <cache>/hashes/<two digits>/entry.json    by a hash of the path, in one of 256 files

A file is known again by its size, its inode and both its times; the time of its last change
can't be set by a program. A file that changed within the last seconds before it was hashed is not
remembered: it could change again and keep its time ("racily clean", as in git's index).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from pathlib import Path
from typing import Any

from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.files import sha256_bytes, sha256_file, write_text_atomic
from edge_convnext.core.marks import make_marked

__all__ = ["HashMemory"]

_RACY_S = 2.0  # file systems keep times to a jiffy, FAT to two seconds
_MOST_ENTRIES = 1024  # of one file of 256: of 262,144 images, 40 MB
_MOST_BYTES = 4 << 20  # of such a file
_SHA256 = re.compile(r"[0-9a-f]{64}")


class HashMemory:
    """SHA-256 by file; safe for several processes, of which the last to save wins."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "hashes"
        self._known: dict[str, dict[str, list[Any]]] = {}
        self._new: dict[str, dict[str, list[Any]]] = {}

    def sha256(self, path: Path) -> str:
        """Hex digest of a file's content, remembered or read now.

        Raises:
            OSError: It can't be read.
        """
        name = sha256_bytes(os.fsencode(path.absolute()))
        known = self._shard(name[:2]).get(name)
        stamp = _stamp(path)
        if known is not None and known[:-1] == stamp:
            return str(known[-1])
        started = time.time()
        digest = sha256_file(path)
        changed = max(stamp[2:]) / 1e9
        if _stamp(path) == stamp and changed < started - _RACY_S:
            self._new.setdefault(name[:2], {})[name] = [*stamp, digest]
        return digest

    def save(self) -> None:
        """Save the new hashes; where the cache can't be written, save nothing and raise nothing."""
        for shard, entries in self._new.items():
            kept = {**_read(self._file(shard)), **entries}  # other processes may have saved since
            newest = dict(list(kept.items())[-_MOST_ENTRIES:])
            with contextlib.suppress(OSError):
                folder = self._file(shard).parent
                folder.parent.mkdir(parents=True, exist_ok=True)
                if not folder.exists():
                    make_marked(folder)  # `cache prune` removes nothing else
                write_text_atomic(self._file(shard), json.dumps(newest))
        self._new = {}

    def _file(self, shard: str) -> Path:
        return self._folder / shard / "entry.json"  # `cache info` and `cache prune` see it so

    def _shard(self, shard: str) -> dict[str, list[Any]]:
        if shard not in self._known:
            self._known[shard] = _read(self._file(shard))
        return self._known[shard]


def _stamp(path: Path) -> list[int]:
    """Size, inode, and the times of the last change, in nanoseconds."""
    seen = path.stat()
    return [seen.st_size, seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns]


def _read(path: Path) -> dict[str, list[Any]]:
    """Read the entries of a file; anything else in it is left out."""
    try:
        content = json.loads(read_text_bounded(path, _MOST_BYTES))
        return {name: entry for name, entry in content.items() if _is_entry(entry)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 5
        and all(isinstance(one, int) for one in entry[:4])
        and isinstance(entry[4], str)
        and _SHA256.fullmatch(entry[4]) is not None
    )

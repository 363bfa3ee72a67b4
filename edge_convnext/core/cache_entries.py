"""Entries of the cache on disk: written whole, read with their hashes, shared between processes."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_bytes, sha256_file
from edge_convnext.core.locks import FolderLock, hold_lock
from edge_convnext.core.marks import MARK, is_marked, remove_marked

__all__ = [
    "BUSY_S",
    "ENTRY_NAME",
    "SCRATCH_NAME",
    "Entry",
    "folder_bytes",
    "move_away",
    "place",
    "read_entry",
    "remove_abandoned",
    "remove_unused",
    "seal",
    "share",
]

ENTRY_NAME = "entry.json"
SCRATCH_NAME = "scratch"
BUSY_S = 3600


@dataclass(frozen=True)
class Entry:
    """One finished stage."""

    folder: Path
    key: str
    result: dict[str, Any]
    digests: dict[str, str]  # SHA-256 by file name
    seconds: float  # of the run that made it
    cached: bool
    rebuilt_because: str | None = None


def remove_abandoned(folder: Path, limit: float) -> bool:
    """Remove a scratch folder without a holder; without locks, one older than `limit`."""
    with hold_lock(folder, wait=False) as held:
        if held is False or (held is None and folder.stat().st_mtime >= limit):
            return False
        return remove_marked(folder)


def share(folder: Path) -> FolderLock | None:
    """Mark an entry as in use for `prune`; None: it is gone, or too many files are open."""
    try:
        with hold_lock(folder.parent):  # otherwise it could be replaced before it is locked
            return _share_here(folder)
    except OSError:
        return None


def _share_here(folder: Path) -> FolderLock | None:
    """`share`, for a caller that holds the lock of the folder above."""
    try:
        return FolderLock(folder, shared=True)
    except OSError:
        return None


def remove_unused(folder: Path, now: float, older_than_s: float) -> bool:
    """Remove an entry or a training's state that was not used lately, nor is now."""
    with hold_lock(folder.parent), hold_lock(folder, wait=False) as held:
        marker = folder / ENTRY_NAME
        finished = marker.is_file()
        age_s = now - (marker if finished else folder).stat().st_mtime
        recent = age_s < (older_than_s if finished else BUSY_S)
        if held is False or (recent and not (finished and older_than_s == 0)):
            return False
        away = move_away(folder)
    return remove_marked(away)


def move_away(folder: Path) -> Path:
    """Give an entry a name in scratch: it goes as a whole, and the next run removes what is left.

    A process that removes one file after the other could otherwise remove files of a newer entry.
    """
    away = folder.parent.parent / SCRATCH_NAME / uuid.uuid4().hex
    away.parent.mkdir(exist_ok=True)
    return folder.rename(away)


def place(scratch: Path, final: Path, key: str) -> tuple[Entry | None, FolderLock | None]:
    """Give a finished stage its name, or return the entry that another build made meanwhile.

    Its bytes may differ from this build's (an engine's do), so its digests are the ones returned.
    """
    final.parent.mkdir(parents=True, exist_ok=True)  # it may have been removed meanwhile
    with hold_lock(final.parent):
        if final.is_dir():
            lock = _share_here(final)
            entry, _ = read_entry(final, key)
            if entry is not None:
                return entry, lock
            if is_marked(final):
                move_away(final)  # damaged
            elif any(final.iterdir()):
                raise ArtifactError(
                    f"{final}: is in the way, and no build wrote it; move it, or set "
                    "EDGE_CONVNEXT_CACHE to another folder"
                )
        scratch.rename(final)
    return None, None


def folder_bytes(folder: Path) -> int:
    """The bytes that all files of a folder take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def seal(folder: Path, result: dict[str, Any], seconds: float) -> dict[str, str]:
    """Write `entry.json`, which makes a folder an entry, and return its files' SHA-256."""
    files = {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MARK
    }
    (folder / ENTRY_NAME).write_text(_entry_text(files, result, seconds), encoding="utf-8")
    return files


def _entry_text(files: Any, result: Any, seconds: Any) -> str:
    """Text of `entry.json`, with its own digest, so that a changed byte shows."""
    content = {"files": files, "result": result, "seconds": seconds}
    own = sha256_bytes(json.dumps(content, allow_nan=False).encode())
    return json.dumps({**content, "sha256": own}, indent=1, allow_nan=False)


def read_entry(folder: Path, key: str) -> tuple[Entry | None, str | None]:
    """The entry, or why it can't be used."""
    marker = folder / ENTRY_NAME
    try:
        text = marker.read_text(encoding="utf-8")
        content = json.loads(text)
        if text != _entry_text(content["files"], content["result"], content["seconds"]):
            return None, f"the cached file {marker} was damaged"
        digests = dict(content["files"])
        for name, digest in digests.items():
            if sha256_file(folder / name) != digest:
                return None, f"the cached file {folder / name} was damaged"
        entry = Entry(folder, key, content["result"], digests, float(content["seconds"]), True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, f"the cache entry {folder} was incomplete"
    with contextlib.suppress(OSError):  # a read-only cache still serves
        os.utime(marker)  # `prune --older-than-days` counts from the last use
    return entry, None

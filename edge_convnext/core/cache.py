"""A content-addressed store for finished stages.

    <root>/<stage>/<key>/entry.json     result, seconds, the SHA-256 of every file, and its own
    <root>/<stage>/<key>/…              the stage's files
    <root>/scratch/<random>/            work in progress
    <root>/unfinished/<key>/state       state of a training that can be resumed

Each of these folders carries a mark (`marks`), and nothing without it is ever removed: the
environment may name a folder that holds more than a cache, and other programs too name folders by
hashes.

A stage works in a scratch folder that takes its final name in one rename, so a killed run
leaves either a whole entry or none. The run holds the lock of that folder: a folder without a
holder was left by a killed run, and the next run removes it. Files are hashed again on every hit: a
damaged entry is rebuilt, not trusted. The timings of a build are never stored here; those of a
search are (`tune`). A stage's own duration is stored, for information.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_convnext.core.cache_entries import (
    BUSY_S,
    ENTRY_NAME,
    SCRATCH_NAME,
    Entry,
    folder_bytes,
    move_away,
    place,
    read_entry,
    remove_abandoned,
    remove_unused,
    seal,
    share,
)
from edge_convnext.core.cache_folder import default_cache_folder
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.locks import FolderLock, hold_lock
from edge_convnext.core.marks import is_marked, make_marked, mark, remove_marked

__all__ = ["Cache", "CacheUsage", "default_cache_folder", "stage_key"]

_UNFINISHED = "unfinished"  # states of trainings that can be resumed
_STALE_SCRATCH_S = 24 * 3600  # where there are no locks
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheUsage:
    """The space that one stage takes."""

    stage: str
    entries: int
    size_bytes: int


def stage_key(stage: str, **fields: Any) -> str:
    """Hash everything that decides a stage's bytes.

    Args:
        stage: Name and revision, such as `quantize/1`; raise the revision when the code's
            output changes.
        fields: JSON-able input digests, the stage's own config, tool versions.
    """
    text = json.dumps([stage, fields], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """Finished stages under one folder; safe for concurrent builds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Entries that the caller relies on: what `prune` elsewhere leaves alone meanwhile.
        self._used: dict[Path, FolderLock | None] = {}
        # Entries that this object made, in order, and why it had to make damaged ones again.
        self.made: dict[Path, str | None] = {}
        self._ahead: dict[Path, str | None] = {}

    def run(self, stage: str, key: str, make: Callable[[Path], dict[str, Any]]) -> Entry:
        """Return the entry of `key`, made now if it is not there.

        Args:
            stage: Folder name, such as `quantize`.
            key: Key from `stage_key`.
            make: Writes its files into the folder it is given and returns a JSON-able result.

        Raises:
            ArtifactError: The cache folder can't be written.
        """
        final = self.root / stage / key
        damage = None
        if final.is_symlink():  # never ours: nothing is read, written or removed through it
            final.unlink()
        if final.is_dir():
            lock = share(final)
            entry, damage = read_entry(final, key)
            if entry is not None:
                self._used[final] = lock
                return self._as_made(entry)
            if final.is_dir():
                _log.warning("%s; making it again", damage)
            else:  # `prune` was faster
                damage = None
            del lock
        with self._scratch(final) as (scratch, lock):
            started = time.perf_counter()
            result = make(scratch)
            seconds = time.perf_counter() - started
            digests = seal(scratch, result, seconds)
            earlier, theirs = place(scratch, final, key)
            if earlier is None:
                lock.share()  # the folder has another name now, and the lock goes with it
        self._used[final] = lock if earlier is None else theirs
        if earlier is not None:
            return earlier
        self.made[final] = damage
        return Entry(final, key, result, digests, seconds, cached=False, rebuilt_because=damage)

    def count_as_made(self, made: Mapping[Path, str | None]) -> None:
        """Count entries as made by their next use: this run made them ahead of it.

        Args:
            made: Entries, from `made` of this object or of another process's.
        """
        self._ahead.update(made)

    def _as_made(self, entry: Entry) -> Entry:
        if entry.folder not in self._ahead:
            return entry
        return replace(entry, cached=False, rebuilt_because=self._ahead.pop(entry.folder))

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Explain a failure whose cause is that entries in use were removed.

        Raises:
            ArtifactError: Replaces the library's error about a file that is gone.
        """
        try:
            yield
        except Exception as error:
            gone = next((folder for folder in sorted(self._used) if not folder.is_dir()), None)
            if gone is None:
                raise
            raise ArtifactError(
                f"{gone}: was removed from the cache while it was in use; run again"
            ) from error

    def unfinished(self, key: str) -> Path:
        """The file where work that can be resumed keeps its state until it is done.

        Raises:
            ArtifactError: The cache folder can't be written.
        """
        folder = self.root / _UNFINISHED / key
        with self._said_if_unwritable():
            if not folder.is_dir():
                folder.mkdir(parents=True)
                mark(folder)
        return folder / "state"

    def holds(self, stage: str, key: str) -> bool:
        """Whether an entry is there; `run` still checks its hashes."""
        return (self.root / stage / key / ENTRY_NAME).is_file()

    def forget(self, stage: str, key: str) -> None:
        """Remove an entry, so that a later run makes it again."""
        folder = self.root / stage / key
        self._used.pop(folder, None)
        if is_marked(folder):
            with contextlib.suppress(
                OSError
            ):  # another build was faster, or the cache is read-only
                remove_marked(move_away(folder))

    def usage(self) -> list[CacheUsage]:
        """Entries and bytes per stage, by name."""
        sizes: dict[str, list[int]] = {}
        for folder in self._folders():
            if folder.parent.name != SCRATCH_NAME:
                with contextlib.suppress(OSError):  # removed meanwhile
                    sizes.setdefault(folder.parent.name, []).append(folder_bytes(folder))
        return [CacheUsage(stage, len(each), sum(each)) for stage, each in sorted(sizes.items())]

    def prune(self, older_than_days: float = 0.0) -> tuple[int, int]:
        """Remove entries not used for `older_than_days`, and what killed runs left.

        Entries that another build writes or uses are left alone, and so is a training's state
        that changed within the last hour. With 0, every other finished entry is removed, even if
        its time of use lies in the future.

        Returns:
            Entries removed, bytes freed.
        """
        now = time.time()
        self._used.clear()  # of this object nothing is in use any more
        removed = freed = 0
        for folder in list(self._folders()):
            with contextlib.suppress(OSError):  # another build just finished with it
                size_bytes = folder_bytes(folder)
                if folder.parent.name == SCRATCH_NAME:
                    with hold_lock(folder.parent):  # so that no process locks a new one now
                        gone = remove_abandoned(folder, now - BUSY_S)
                else:
                    gone = remove_unused(folder, now, older_than_days * 86400)
                removed += gone
                freed += size_bytes if gone else 0
        return removed, freed

    def _folders(self) -> Iterator[Path]:
        """Entries, scratch folders and unfinished trainings: only these are counted or removed."""
        for folder in self.root.glob("*/*"):
            if is_marked(folder) and not folder.parent.is_symlink():
                yield folder

    @contextmanager
    def _scratch(self, final: Path) -> Iterator[tuple[Path, FolderLock]]:
        """A locked folder to work in, removed if it is still there afterwards."""
        everyones = self.root / SCRATCH_NAME
        scratch = everyones / uuid.uuid4().hex
        with self._said_if_unwritable():
            final.parent.mkdir(parents=True, exist_ok=True)
            everyones.mkdir(parents=True, exist_ok=True)
            with hold_lock(everyones):  # so that no process removes the new one as abandoned
                self._drop_abandoned()
                make_marked(scratch)
                lock = FolderLock(scratch)
        try:
            yield scratch, lock
        except Exception as error:
            if scratch.is_dir():
                raise
            raise ArtifactError(
                f"{self.root}: the cache folder was removed while it was in use; run again"
            ) from error
        finally:
            remove_marked(scratch)

    @contextmanager
    def _said_if_unwritable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtifactError(
                f"{self.root}: the cache folder can't be written ({error.strerror}); "
                "set EDGE_CONVNEXT_CACHE to a folder that can"
            ) from error

    def _drop_abandoned(self) -> None:
        limit = time.time() - _STALE_SCRATCH_S
        for folder in (self.root / SCRATCH_NAME).glob("*"):
            if is_marked(folder):
                with contextlib.suppress(OSError):  # another build just finished with it
                    remove_abandoned(folder, limit)

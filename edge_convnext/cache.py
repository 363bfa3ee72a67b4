"""A content-addressed store for finished stages.

    <root>/<stage>/<key>/entry.json     result, seconds, and the SHA-256 of every file
    <root>/<stage>/<key>/…              the stage's files
    <root>/scratch/<random>/            work in progress

A stage works in a scratch folder that takes its final name in one rename, so a killed run
leaves either a whole entry or none. Files are hashed again on every hit: a damaged entry is
rebuilt, not trusted. A build's timings are
never stored here, a search's are (`tune`); a stage's own duration is, for information.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_convnext.errors import ArtifactError
from edge_convnext.files import sha256_file

__all__ = ["Cache", "CacheUsage", "Entry", "default_cache_folder", "stage_key"]

_ENTRY = "entry.json"
_SCRATCH = "scratch"
_UNFINISHED = "unfinished"  # states of trainings that can be resumed
_STALE_SCRATCH_S = 24 * 3600
_BUSY_S = 3600
_NAME = re.compile(r"[0-9a-f]{64}|[0-9a-f]{32}")  # of an entry; of a scratch folder


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


@dataclass(frozen=True)
class CacheUsage:
    """What one stage takes up."""

    stage: str
    entries: int
    size_bytes: int


def default_cache_folder(environment: Mapping[str, str]) -> Path:
    """`$EDGE_CONVNEXT_CACHE`, or the platform's user cache folder."""
    if chosen := environment.get("EDGE_CONVNEXT_CACHE"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("edge-convnext", appauthor=False))


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

    def run(self, stage: str, key: str, make: Callable[[Path], dict[str, Any]]) -> Entry:
        """Return the entry of `key`, made now if it is not there.

        Args:
            stage: Folder name, such as `quantize`.
            key: From `stage_key`.
            make: Writes its files into the folder it is given and returns a JSON-able result.

        Raises:
            ArtifactError: The cache folder can't be written.
        """
        final = self.root / stage / key
        damage = None
        if final.is_symlink():  # never ours: nothing is read, written or removed through it
            final.unlink()
        if final.is_dir():
            entry, damage = _read(final, key)
            if entry is not None:
                return entry
            shutil.rmtree(final, ignore_errors=True)
        scratch = self._make_scratch(final)
        try:
            started = time.perf_counter()
            result = make(scratch)
            seconds = time.perf_counter() - started
            digests = _seal(scratch, result, seconds)
            try:
                scratch.rename(final)
            except OSError:
                # Another build finished the same stage first. Its bytes may differ from ours (an
                # engine's do), and they are what lies there.
                entry, _ = _read(final, key)
                if entry is None:
                    raise
                return entry
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return Entry(final, key, result, digests, seconds, cached=False, rebuilt_because=damage)

    def unfinished(self, key: str) -> Path:
        """The file where work that can be resumed keeps its state until it is done."""
        return self.root / _UNFINISHED / key / "state"

    def holds(self, stage: str, key: str) -> bool:
        """Whether an entry is there; `run` still checks its hashes."""
        return (self.root / stage / key / _ENTRY).is_file()

    def forget(self, stage: str, key: str) -> None:
        """Remove an entry: what it holds does not stand for a later run."""
        shutil.rmtree(self.root / stage / key, ignore_errors=True)

    def usage(self) -> list[CacheUsage]:
        """Entries and bytes per stage, by name."""
        sizes: dict[str, list[int]] = {}
        for folder in self._folders():
            if folder.parent.name != _SCRATCH:
                sizes.setdefault(folder.parent.name, []).append(_size_bytes(folder))
        return [CacheUsage(stage, len(each), sum(each)) for stage, each in sorted(sizes.items())]

    def prune(self, older_than_days: float = 0.0) -> tuple[int, int]:
        """Remove entries not used for `older_than_days`, and what killed runs left.

        What another build may be writing now, changed within the last hour, is left alone.

        Returns:
            Entries removed, bytes freed.
        """
        now = time.time()
        removed = freed = 0
        for folder in self._folders():
            marker = folder / _ENTRY
            finished = marker.is_file()
            age_s = now - (marker if finished else folder).stat().st_mtime
            if age_s < (older_than_days * 86400 if finished else _BUSY_S):
                continue
            freed += _size_bytes(folder)
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
        return removed, freed

    def _folders(self) -> Iterator[Path]:
        """Entries, scratch folders and unfinished trainings.

        Nothing else is ever counted or removed: the environment may name a folder that holds
        more than a cache.
        """
        for folder in self.root.glob("*/*"):
            named = _NAME.fullmatch(folder.name) and folder.is_dir()
            linked = folder.is_symlink() or folder.parent.is_symlink()
            if not linked and (named or (folder / _ENTRY).is_file()):
                yield folder

    def _make_scratch(self, final: Path) -> Path:
        scratch = self.root / _SCRATCH / uuid.uuid4().hex
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            self._drop_stale_scratch()
            scratch.mkdir(parents=True)
        except OSError as error:
            raise ArtifactError(
                f"{self.root}: the cache folder can't be written ({error.strerror}); "
                "set EDGE_CONVNEXT_CACHE to a folder that can"
            ) from error
        return scratch

    def _drop_stale_scratch(self) -> None:
        limit = time.time() - _STALE_SCRATCH_S
        for folder in (self.root / _SCRATCH).glob("*"):
            with contextlib.suppress(FileNotFoundError):  # another build just finished with it
                if folder.stat().st_mtime < limit:
                    shutil.rmtree(folder, ignore_errors=True)


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _seal(folder: Path, result: dict[str, Any], seconds: float) -> dict[str, str]:
    files = {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    content = {"files": files, "result": result, "seconds": seconds}
    (folder / _ENTRY).write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")
    return files


def _read(folder: Path, key: str) -> tuple[Entry | None, str | None]:
    """The entry, or why it can't be used."""
    marker = folder / _ENTRY
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
        digests = dict(content["files"])
        for name, digest in digests.items():
            if sha256_file(folder / name) != digest:
                return None, f"the cached file {folder / name} was damaged"
        entry = Entry(folder, key, content["result"], digests, float(content["seconds"]), True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, f"the cache entry {folder} was incomplete"
    with contextlib.suppress(OSError):  # a read-only cache still serves
        os.utime(marker)  # `prune --older-than-days` counts from the last use
    return entry, None

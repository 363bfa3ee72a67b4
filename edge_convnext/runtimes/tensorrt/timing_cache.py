"""Timing caches: what a builder learnt about kernels, kept for the next build.

Several builds may share one file at a time: each takes what was there when it began, and adds
what it learnt to what is there when it ends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_convnext.core.files import atomic_path

__all__ = ["load_timings", "save_timings"]


def load_timings(settings: Any, path: Path) -> str | None:
    """Let a build start from a file, if there is one.

    Returns:
        Why its content is of no use, or None.
    """
    timings = _read(settings, path)
    if timings is not None and settings.set_timing_cache(timings, False):
        return None
    timings = settings.create_timing_cache(b"")
    settings.set_timing_cache(timings, False)
    return f"{path} is of another GPU or TensorRT and was not used" if path.is_file() else None


def save_timings(settings: Any, path: Path) -> str | None:
    """Merge what a build learnt into a file.

    Returns:
        Why the file's former content was dropped, or None.
    """
    learnt = settings.get_timing_cache()
    if learnt is None:
        return f"TensorRT kept no timings for {path}"
    note = None
    with _locked(path):
        merged = learnt
        timings = _read(settings, path)
        # Entries that both have stay as they were.
        if timings is not None and timings.combine(learnt, False):
            merged = timings
        elif path.is_file():
            note = f"{path} was of another GPU or TensorRT and is replaced"
        with atomic_path(path) as scratch:
            scratch.write_bytes(bytes(merged.serialize()))
    return note


def _read(settings: Any, path: Path) -> Any:
    """A file's timings; None where there is no file, or none that TensorRT can read."""
    try:
        return settings.create_timing_cache(path.read_bytes())
    except Exception:  # the bindings raise a TypeError for what is no cache
        return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait for other builds that write the same file."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

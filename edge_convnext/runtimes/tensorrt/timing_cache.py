"""Timing caches: a builder's measurements of kernels, kept for the next build.

Several builds may share one file at the same time. Each one starts from the file as it is at the
beginning, and adds its own timings to the file as it is at the end.
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
    """Let a build start from a file of timings, if there is one.

    Returns:
        The reason why its content is of no use; None if it is used.
    """
    timings = _read(settings, path)
    if timings is not None and settings.set_timing_cache(timings, False):
        return None
    timings = settings.create_timing_cache(b"")
    settings.set_timing_cache(timings, False)
    return f"{path} is from another GPU or TensorRT and was not used" if path.is_file() else None


def save_timings(settings: Any, path: Path) -> str | None:
    """Merge the timings of a build into a file.

    Returns:
        The reason why the file's former content was dropped; None if it was kept.
    """
    learnt = settings.get_timing_cache()
    if learnt is None:
        return f"TensorRT kept no timings for {path}"
    note = None
    with _locked(path):
        merged = learnt
        timings = _read(settings, path)
        # Entries that are in both stay as they were in the file.
        if timings is not None and timings.combine(learnt, False):
            merged = timings
        elif path.is_file():
            note = f"{path} was from another GPU or TensorRT and is replaced"
        with atomic_path(path) as scratch:
            scratch.write_bytes(bytes(merged.serialize()))
    return note


def _read(settings: Any, path: Path) -> Any:
    """Read a file's timings; None if there is no file, or TensorRT can't read it."""
    try:
        return settings.create_timing_cache(path.read_bytes())
    except Exception:  # the bindings raise a TypeError for a file that is no cache
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

"""Files that a user asks a command to write beside its output: all of them, or a clear error."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from edge_convnext.cli.gate_files import attempt, tell_unwritten, why_unwritten

__all__ = ["write_files"]


def write_files(texts: Mapping[Path, str]) -> None:
    """Write every file, whatever happens to the others.

    Raises:
        OSError: One could not be written; its message says what to do.
    """
    from edge_convnext.core.files import write_text_atomic

    unwritten = [
        error
        for path, text in texts.items()
        for error in attempt(path, partial(write_text_atomic, path, text))
    ]
    if unwritten:
        tell_unwritten(unwritten[1:])
        first = unwritten[0]
        raise OSError(first.errno, why_unwritten(first), first.filename) from first

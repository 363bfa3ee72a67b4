"""Files that a user asks a command to write beside its output: all of them, or a clear error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from edge_convnext.cli.gate_files import attempt, tell_unwritten, why_unwritten

__all__ = ["require_apart", "write_files"]


def require_apart(files: Iterable[Path | None], sources: Iterable[Path]) -> None:
    """Refuse to write over what is read.

    Args:
        files: Files to write; None stands for one that was not asked for.
        sources: Files, or folders of reports, that are read.

    Raises:
        ArtifactError: A file is one of the sources, or their report.
    """
    from edge_convnext.core.errors import ArtifactError
    from edge_convnext.report.file_names import REPORT

    read = {one.resolve() for source in sources for one in (source, source / REPORT)}
    for file in files:
        if file is not None and file.resolve() in read:
            raise ArtifactError(f"{file}: is read by this command; choose another file to write")


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

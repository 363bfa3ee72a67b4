"""Files that are whole or absent: hashes, atomic writes, scratch names."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

__all__ = [
    "NO_ROOM",
    "AnyPath",
    "atomic_path",
    "copy_atomic",
    "expand_home",
    "sha256_bytes",
    "sha256_file",
    "why_unwritable",
    "write_text_atomic",
]

# A full disk, a file as large as may be, a full quota.
NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


AnyPath: TypeAlias = str | os.PathLike[str]  # what a function for users takes


def sha256_bytes(data: bytes) -> str:
    """Hex digest of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file's content, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def expand_home(path: str) -> Path:
    """Replace `~` by the home folder; without one, leave the path as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user: opening it will say that there is no such file
        return Path(path)


def why_unwritable(folder: Path) -> str | None:
    """Explain why no file can be made in a folder or its nearest existing parent; None: it can."""
    while not folder.exists() and folder != folder.parent:
        if folder.is_symlink():
            return f"{folder.name} is a link that leads nowhere"
        folder = folder.parent
    # A trial file is a better test than access(2), which does not see read-only or full disks.
    try:
        with tempfile.TemporaryFile(dir=folder) as trial:  # no name: a kill leaves nothing
            trial.write(b"x")
            trial.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a scratch path beside `target` that takes its place when the block succeeds.

    The scratch file is synced before the move, so a crash leaves the old file or the new
    one, never a part. On an exception the scratch file is removed.

    Raises:
        OSError: It can't be written. For a full disk, the error names `target`.
    """
    try:
        with _replacing(target) as scratch:
            yield scratch
    except OSError as error:
        # A copy names its source first, a write names nothing, and users do not know scratch names.
        named = Path(str(error.filename or "")).name
        if error.errno in NO_ROOM or not named or named.startswith(f".{target.name}."):
            error.filename, error.filename2 = str(target), None
        raise


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        scratch.chmod(0o666 & ~_umask())  # mkstemp makes it private; artefacts are not
        with scratch.open("rb+") as file:
            os.fsync(file.fileno())
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def write_text_atomic(target: Path, text: str) -> None:
    """Write UTF-8 text so that readers see the old content or the new, never a part."""
    with atomic_path(target) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


def copy_atomic(source: Path, target: Path) -> None:
    """Copy a file's content to `target` in one visible step."""
    with atomic_path(target) as scratch:
        shutil.copyfile(source, scratch)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current

"""Replace files of a folder by newer ones, so that a full disk or a kill costs none of the old.

All new files are first written into a marked folder beside the old ones. Only then are they
moved, one after the other, which needs no room. The file `last` says that all others are whole. Of
the old files it is removed first; of the new ones it is moved last. If the process is killed in
between, the folder has no such file, and there is a list of what was being replaced. By that list
the next writer recognises these files as its own.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from uuid import uuid4

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import NO_ROOM, why_unwritable, write_text_atomic
from edge_convnext.core.marks import MARK, is_marked, make_marked, remove_marked

__all__ = ["left_names", "require_room", "require_writable", "swap", "written_beside"]

_PREFIX = ".edge-convnext-new-"
_LIST = ".replaces.json"
_MOST_LIST_BYTES = 1 << 20
_SPARE_BYTES = 1 << 20  # for reports and tables


@contextmanager
def written_beside(folder: Path) -> Iterator[Path]:
    """Yield a folder inside `folder` to write into; it is removed after the block.

    Args:
        folder: Existing folder; the caller holds its lock.

    Raises:
        ArtifactError: The disk is full, or the folder can't be written; nothing is changed then.
    """
    new = folder / f"{_PREFIX}{uuid4().hex[:8]}"
    for left in _left(folder):
        _empty(left)  # it may be what filled the disk
    try:
        make_marked(new)
        yield new
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise ArtifactError(
            f"{folder}: can't be written ({error.strerror}); what was there is as it was: free "
            "some space, or choose another --out"
        ) from error
    finally:
        if not (new / _LIST).exists():  # else the swap was interrupted
            remove_marked(new)


def require_writable(folder: Path) -> None:
    """Fail before the first stage, not after the last, when the output can't be written.

    Raises:
        ArtifactError: It is a file, or it or its nearest existing parent can't be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{folder}: is a file; choose another --out")
    if reason := why_unwritable(folder):
        raise ArtifactError(f"{folder}: can't be written ({reason}); choose another --out")


def require_room(folder: Path, needed_bytes: int) -> None:
    """Fail before the first file where the disk has no room for all of them.

    Raises:
        ArtifactError: There is too little room; the message says how much is needed.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + _SPARE_BYTES:
        raise ArtifactError(
            f"{folder}: {free_bytes / 1e6:.1f} MB are free on its disk and "
            f"{(needed_bytes + _SPARE_BYTES) / 1e6:.1f} MB are needed; what was there is as it "
            "was: free some space, or choose another --out"
        )


def swap(new: Path, folder: Path, old: Iterable[str], last: str) -> None:
    """Move every file of `new` to its place in `folder`.

    Args:
        new: Folder from `written_beside`; it is used up.
        folder: Folder that was passed there.
        old: Names of files there that are replaced, or that belong to those.
        last: Name of the file that makes the others whole.

    Raises:
        ArtifactError: A file or a link is where a folder of the new ones goes; nothing is changed.
    """
    names = [
        path.relative_to(new).as_posix()
        for path in sorted(new.rglob("*"))
        if path.is_file() and path.name != MARK
    ]
    gone = sorted({*old, last} - set(names) | {last})
    parents = {folder / parent for name in names for parent in PurePosixPath(name).parents}
    for parent in sorted(parents - {folder}):
        _make_folder(parent)
    write_text_atomic(new / _LIST, json.dumps(sorted({*names, *gone})))
    (folder / last).unlink(missing_ok=True)
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    for name in sorted(names, key=lambda one: one == last):
        (new / name).replace(folder / name)
    for parent in {(folder / name).parent for name in gone} - {folder}:
        with contextlib.suppress(OSError):  # it holds other files
            parent.rmdir()
    (new / _LIST).unlink()
    for left in _left(folder):
        remove_marked(left)


def _make_folder(folder: Path) -> None:
    """Make it before the first file is moved, so that an obstacle is found in time."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ArtifactError(
            f"{folder}: a folder of the build's goes here, and a file or a link is in the way; "
            "move it, or choose another --out"
        )
    folder.mkdir(parents=True, exist_ok=True)


def left_names(folder: Path) -> set[str]:
    """Names of the files that an interrupted `swap` was replacing."""
    return {name for left in _left(folder) for name in _read_list(left / _LIST)}


def _left(folder: Path) -> list[Path]:
    return [path for path in folder.glob(f"{_PREFIX}*") if is_marked(path)]


def _empty(left: Path) -> None:
    """Remove all but the list, which says until the next swap is done which files are ours."""
    for path in left.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in (MARK, _LIST):
            path.unlink(missing_ok=True)


def _read_list(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            names = json.loads(file.read(_MOST_LIST_BYTES))
    except (OSError, ValueError, RecursionError):
        return []  # it was killed before it replaced anything
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

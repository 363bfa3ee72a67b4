"""Private folders to work in. They are removed afterwards, by the next process if one was killed.

They lie in one folder of this user below the temporary folder, and carry a mark (`marks`). A
process holds the lock of its folder: a marked folder without a holder was left behind.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.locks import hold_lock
from edge_convnext.core.marks import is_marked, make_marked, remove_marked

__all__ = ["scratch_folder", "use_temporary_folder"]

_PREFIX = "edge-convnext-"
_USUAL = {"/tmp", "/var/tmp", "/usr/tmp"}


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder of this user's alone; it is removed after the block.

    Where folders can't be locked, or the name below the temporary folder belongs to another
    user, a killed process leaves its folder there: it can't be distinguished from one in use.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(_locked_folder())
        except OSError:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=_PREFIX)))
        yield folder


def use_temporary_folder(find_cache: Callable[[], Path]) -> None:
    """Use a temporary folder in the cache where the system has none that can be written.

    A read-only container often has one writable folder, and the libraries that a build uses ask
    for a temporary one in its last third.

    Args:
        find_cache: Function that returns the folder of finished stages.
    """
    if _has_temporary_folder():
        return
    with contextlib.suppress(
        OSError, ArtifactError
    ):  # then the code that needs one fails with its own message
        folder = find_cache() / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = os.environ["TMPDIR"] = str(
            folder
        )  # for this process, and for its children


def _has_temporary_folder() -> bool:
    """Whether there is one. The working folder, Python's last choice, does not count."""
    try:
        found = tempfile.gettempdir()
        stated = {os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")}
        return found != str(Path.cwd()) or found in stated | _USUAL
    except OSError:  # neither, or the working folder is gone
        return False


@contextmanager
def _locked_folder() -> Iterator[Path]:
    """Make a marked folder inside this user's folder.

    Raises:
        OSError: It can't be made.
    """
    everyones = _users_folder()
    folder = everyones / uuid.uuid4().hex
    with contextlib.ExitStack() as stack:
        try:
            with hold_lock(
                everyones
            ) as held:  # so that no process removes the new one as abandoned
                if held is None:
                    raise OSError("no locks")
                _drop_abandoned(everyones)
                make_marked(folder)
                stack.enter_context(hold_lock(folder))
            yield folder
        finally:
            remove_marked(folder)
            _remove_empty(everyones)


def _users_folder() -> Path:
    """Return this user's folder; make it if it is not there.

    Raises:
        OSError: There is no room for one, or the name is taken.
    """
    if sys.platform == "win32":
        raise OSError("has neither users' numbers nor locks on folders")
    folder = Path(tempfile.gettempdir()) / f"{_PREFIX}scratch-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        make_marked(folder)
    if not is_marked(folder) or stat.S_IMODE(folder.lstat().st_mode) & 0o077:
        raise OSError(f"{folder} is not this program's")
    return folder


def _drop_abandoned(everyones: Path) -> None:
    """Remove the folders of killed processes: one may hold many images."""
    for folder in everyones.iterdir():
        with contextlib.suppress(OSError):  # gone meanwhile
            if not is_marked(folder):
                folder.rmdir()  # an empty one: its process was killed before it wrote the mark
                continue
            with hold_lock(folder, wait=False) as held:
                if held:
                    remove_marked(folder)


def _remove_empty(everyones: Path) -> None:
    """Remove this user's folder if no process works in it, its mark last."""
    with contextlib.suppress(OSError), hold_lock(everyones, wait=False) as held:
        if held and len(list(everyones.iterdir())) == 1:
            remove_marked(everyones)

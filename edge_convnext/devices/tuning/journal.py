"""The journal of a search: what was done, a line of JSON each, so that nothing is done twice.

A line is written whole and reaches the disk before the search goes on. A kill may cut the last
line: it is skipped, and what it was about is done again. What may kill the process, by memory, is
announced first. So the next run knows what it died of, and does not die of it for ever.

The same file lies on the board and at the desk. Lines of another bundle, of another machine, or of
other versions of the packages stay in it and do not count.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.core.bounded import require_regular
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import NO_ROOM

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["JOURNAL", "Journal", "add_missing", "out_of_room"]

JOURNAL = "journal.jsonl"
_BEGUN, _LEFT = "begun", "left"
_MOST_BYTES = 64 << 20


class Journal:
    """What a search did so far.

    Args:
        path: File of the journal; it need not exist.
        identity: All that decides whether an earlier result still holds.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.id = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        self._own = [one for one in _read(path) if one.get("id") == self.id]

    @property
    def begun(self) -> bool:
        """Whether an earlier run of this search left anything here."""
        return bool(self._own)

    @property
    def spent_s(self) -> float:
        """Seconds of building and timing so far, those of earlier runs included."""
        return sum(float(one.get("seconds", 0.0)) for one in self._own)

    def find(self, kind: str, key: str) -> dict[str, Any] | None:
        """What is known of one piece of work; None if it was never finished."""
        found = (one for one in reversed(self._own) if (one["kind"], one["key"]) == (kind, key))
        return next(found, None)

    def deaths(self, kind: str, key: str) -> int:
        """How often the process died while it did this: begun, and neither done nor left."""
        seen = [(one["kind"], one["key"]) for one in self._own]
        marked = f"{kind} {key}"
        ended = seen.count((kind, key)) + seen.count((_LEFT, marked))
        return max(0, seen.count((_BEGUN, marked)) - ended)

    def add(self, kind: str, key: str, **fields: Any) -> dict[str, Any]:
        """Write down what was done.

        Raises:
            ArtifactError: The disk is full, or the journal can't be written.
        """
        entry = {"id": self.id, "kind": kind, "key": key, **fields}
        text = json.dumps(entry, allow_nan=False) + "\n"
        try:
            _append(self.path, text)
        except OSError as error:
            raise out_of_room(self.path, error) from error
        self._own.append(json.loads(text))
        return self._own[-1]

    @contextmanager
    def announced(self, kind: str, key: str) -> Iterator[None]:
        """Announce work that may kill the process; an exception of Python's is no death."""
        self.add(_BEGUN, f"{kind} {key}")
        try:
            yield
        except BaseException:
            with contextlib.suppress(ArtifactError):  # of a full disk the first error is told
                self.add(_LEFT, f"{kind} {key}")
            raise


def add_missing(journal: Path, other: Path) -> None:
    """Add the lines that another copy of a journal has and this one lacks.

    Raises:
        OSError: The journal can't be written.
    """
    own = {json.dumps(one, sort_keys=True) for one in _read(journal)}
    new = [one for one in _read(other) if json.dumps(one, sort_keys=True) not in own]
    if new:
        _append(journal, "".join(f"{json.dumps(one)}\n" for one in new))


def out_of_room(path: Path, error: OSError) -> ArtifactError:
    """The error of a disk that is full, or can't be written, while a search runs."""
    what = "its disk is full" if error.errno in NO_ROOM else error.strerror or str(error)
    return ArtifactError(
        f"{path}: can't be written ({what}); what was found so far is kept: free some space, and "
        "run the same command again to go on"
    )


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else f"\n{text}"  # after a line that was cut
        start = file.seek(0, os.SEEK_END)
        try:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(start)  # half a line would be of no use
            raise


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        if require_regular(path) > _MOST_BYTES:
            return []
        text = path.read_bytes().decode("ascii", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.split("\n"):
        try:
            one = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(one, dict) and {"id", "kind", "key"} <= set(one):
            found.append(one)
    return found

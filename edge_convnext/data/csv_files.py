"""Find the files that a CSV names with backslashes, in other Unicode forms or folders, as stems."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from functools import cached_property
from pathlib import Path, PurePosixPath

from edge_convnext.core.class_names import composed
from edge_convnext.core.errors import DataError, shorten
from edge_convnext.data.formats import is_image_name
from edge_convnext.data.sources import is_plain_text

__all__ = ["FileFinder"]

_MOST_FILES = 2_000_000  # searched for a name, at most
_DRIVE = re.compile(r"[A-Za-z]:/")


class FileFinder:
    """Find images below `roots` by the names in a CSV, and count the guesses."""

    def __init__(self, roots: tuple[Path, ...]) -> None:
        """`roots`: folders where relative paths start, the preferred one first."""
        self.roots = roots
        self.guesses: Counter[str] = Counter()

    def is_file(self, name: str) -> bool:
        """Whether a text of a CSV names an image that exists."""
        try:
            return bool(name) and is_plain_text(name) and self._find(name) is not None
        except (OSError, DataError):
            return False

    def find(self, name: str, where: str) -> Path:
        """Return the file that a row names.

        Raises:
            DataError: There is none, or several; `where` names the row.
        """
        if not name:
            raise DataError(f"{where}: no path; fill it in, or delete the row")
        if not is_plain_text(name):
            raise DataError(
                f"{where}: the path {shorten(repr(name))} is not plain text; correct it"
            )
        try:
            found = self._find(name, where)
        except OSError as error:  # a name that no file can have, such as one that is too long
            raise DataError(
                f"{where}: {error.strerror}: {shorten(name)}; correct the path"
            ) from error
        if found is None:
            raise DataError(f"{where}: no such file: {shorten(name)} ({self._hint(name)})")
        path, guess = found
        if guess:
            self.guesses[guess] += 1
        return path

    def _find(self, name: str, where: str = "") -> tuple[Path, str] | None:
        if path := self._direct(name):
            return path, ""
        plain = name.strip().strip("\"'").replace("\\", "/")
        if "://" in plain:
            plain = re.split(r"[?#]", plain)[0]  # a signed address
        if plain != name and (path := self._direct(plain)):
            return path, ""
        if path := self._by_name(plain, where):
            same = composed(path.as_posix()).endswith(composed(str(PurePosixPath(plain))))
            return path, "" if same else "by their name alone, wherever below they lie"
        if path := self._by_stem(plain, where):
            return path, "by their name without the suffix"
        return None

    def _direct(self, name: str) -> Path | None:
        for root in self.roots:
            path = Path(os.path.normpath(root / name))
            if path.is_file():
                return path
        return None

    def _by_name(self, name: str, where: str) -> Path | None:
        """Find the file of that name whose folders agree best with those in the CSV."""
        parts = PurePosixPath(_DRIVE.sub("/", composed(name))).parts
        found = self._names.get("/".join(parts[-2:]), [])  # `cat/1.jpg` is not `dog/1.jpg`
        agreeing = Counter({path: _common_end(path, parts) for path in found}).most_common(2)
        if not agreeing:
            return None
        if len(agreeing) > 1 and agreeing[0][1] == agreeing[1][1]:
            raise DataError(
                f"{where}: {shorten(name)} may be {agreeing[0][0]} or {agreeing[1][0]}; write the "
                f"path from {self.roots[0]} on"
            )
        return Path(agreeing[0][0])

    def _by_stem(self, name: str, where: str) -> Path | None:
        written = str(PurePosixPath(composed(name)))
        end = f"{os.sep}{written}."
        found = self._stems.get("/".join(written.split("/")[-2:]), [])
        found = [path for path in found if composed(path[: path.rindex(".") + 1]).endswith(end)]
        if len(found) > 1:
            raise DataError(
                f"{where}: {shorten(name)} may be {found[0]} or {found[1]}; write the path with "
                "its suffix"
            )
        return Path(found[0]) if found else None

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        """Every file below the roots by name, and by folder and name; built only when needed."""
        found: dict[str, list[str]] = defaultdict(list)
        walked: set[str] = set()
        count = 0
        for root in self.roots:
            for folder, folders, names in os.walk(root.absolute()):
                fresh = folder not in walked  # one root may lie in the other
                walked.add(folder)
                above = Path(folder).name
                folders[:] = sorted(one for one in folders if fresh and not one.startswith("."))
                for name in names if fresh else ():
                    if not name.startswith(".") and is_plain_text(name):
                        path = f"{folder}{os.sep}{name}"
                        for key in (name, f"{above}/{name}"):
                            found[composed(key)].append(path)
                count += len(names)
                if count > _MOST_FILES:
                    return found
        return found

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name, paths in self._names.items():
            if is_image_name(name.rpartition("/")[2]):
                found[name.rpartition(".")[0]] += paths
        return found

    def _hint(self, name: str) -> str:
        written = PurePosixPath(composed(name).replace("\\", "/")).name
        same = next((one for one in self._names if one.casefold() == written.casefold()), None)
        if same is not None:
            how = ", which differs in upper and lower case" if same != written else ""
            return f"there is {self._names[same][0]}{how}"
        stems = self._stems.get(PurePosixPath(written).stem)
        if stems:
            return f"there is {stems[0]}, which has another suffix"
        if Path(name).is_absolute():
            return "absolute path"
        return f"paths are relative to {self.roots[0]}"


def _common_end(path: str, parts: tuple[str, ...]) -> int:
    """Count the equal components at the ends of two paths."""
    count = 0
    here = reversed(Path(composed(path)).parts)
    for one, there in zip(here, reversed(parts), strict=False):
        if one != there:
            break
        count += 1
    return count

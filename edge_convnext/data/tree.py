"""A folder, listed once and level by level: subfolders, images, and other files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from edge_convnext.core.class_names import composed
from edge_convnext.core.errors import DataError
from edge_convnext.data.formats import is_image_file, is_image_name
from edge_convnext.data.sources import is_plain_text

__all__ = ["Folder", "LeftOut"]

# In addition to names that begin with a dot. Operating systems make folders of these names.
_SYSTEM_FILES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))
_SYSTEM_FOLDERS = frozenset(
    ("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__")
)
_MOST_HIDDEN = 100_000  # files that are looked at in hidden folders


@dataclass
class LeftOut:
    """Files of a source that are not read."""

    suffixes: Counter[str] = field(default_factory=Counter)
    hidden: int = 0  # hidden files, and those that operating systems add
    hidden_folders: dict[str, int] = field(default_factory=dict)  # with images: how many

    def add(self, other: LeftOut) -> None:
        """Add the counts of another folder."""
        self.suffixes += other.suffixes
        self.hidden += other.hidden
        self.hidden_folders |= other.hidden_folders


class Folder:
    """One folder; its content is listed only when it is needed."""

    def __init__(self, path: Path, linked: bool = False) -> None:
        """`linked`: it is a link to a folder, which is not entered below a class."""
        self.path = path
        self.linked = linked

    @property
    def name(self) -> str:
        """Name as it is on disk."""
        return self.path.name

    @property
    def folders(self) -> dict[str, Folder]:
        """Subfolders by name, in order; hidden ones and those of operating systems left out."""
        return self._listed[0]

    @property
    def images(self) -> list[str]:
        """Names of the images directly in this folder, in order."""
        return self._listed[1]

    @property
    def left_out(self) -> LeftOut:
        """Counts of the other files directly in this folder."""
        return self._listed[2]

    def walk(self) -> Iterator[Path]:
        """Images at any depth, sorted; linked folders below this one are not entered."""
        images = set(self.images)
        for name in sorted((*images, *self.folders), key=_place):
            if name in images:
                yield self.path / name
            elif not self.folders[name].linked:
                yield from self.folders[name].walk()

    def has_images(self) -> bool:
        """Whether there is one at any depth."""
        return next(self.walk(), None) is not None

    def count_left_out(self) -> LeftOut:
        """Count the files of this folder that are not read, at any depth."""
        total = LeftOut()
        total.add(self.left_out)
        for folder in self.folders.values():
            if not folder.linked:
                total.add(folder.count_left_out())
        return total

    @cached_property
    def _listed(self) -> tuple[dict[str, Folder], list[str], LeftOut]:
        folders: dict[str, Folder] = {}
        images: list[str] = []
        left = LeftOut()
        for entry in self._scan():
            if _is_hidden(entry):
                _count_hidden(entry, left)
            elif entry.is_dir():
                folder = Folder(self.path / entry.name, not entry.is_dir(follow_symlinks=False))
                folders[entry.name] = folder
            elif is_image_name(entry.name) or is_image_file(self.path / entry.name):
                images.append(entry.name)
            else:
                left.suffixes[Path(entry.name).suffix.lower()] += 1
        return folders, images, left

    def _scan(self) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.path) as entries:
                found = sorted(entries, key=lambda entry: _place(entry.name))
        except OSError as error:
            raise DataError(f"{self.path}: can't be listed ({error.strerror})") from error
        for entry in found:
            if not is_plain_text(entry.name) and not _is_hidden(entry):
                # A manifest or a report could not contain it.
                raise DataError(
                    f"{self.path}: the name {entry.name!r} is not plain text; rename it"
                )
        return found


def _place(name: str) -> tuple[str, str]:
    return composed(name), name  # the same order for the same names, in any Unicode form


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    name = entry.name.lower()
    system = _SYSTEM_FOLDERS if entry.is_dir() else _SYSTEM_FILES
    return name.startswith(".") or name in system


def _count_hidden(entry: os.DirEntry[str], left: LeftOut) -> None:
    if not entry.is_dir(follow_symlinks=False):
        left.hidden += 1
        return
    images = 0
    for count, name in enumerate(_files_below(entry.path)):
        left.hidden += 1
        images += is_image_name(name)
        if count >= _MOST_HIDDEN:
            break
    if images:
        left.hidden_folders[entry.path] = images


def _files_below(path: str) -> Iterator[str]:
    for _, _, names in os.walk(path):
        yield from names

"""Image files that a user names one by one, by a folder, or by a pattern such as `photos/*.jpg`."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.core.errors import DataError, shorten
from edge_convnext.data.formats import describe_suffixes, is_image_file
from edge_convnext.data.tree import Folder

__all__ = ["NoImage", "find_images"]


@dataclass(frozen=True)
class NoImage:
    """A place without an image, and the error that says so."""

    place: Path
    error: DataError


def find_images(places: Iterable[Path]) -> Iterator[Path | NoImage]:
    """List the files of each place, in order; a place without one is its error.

    Args:
        places: Files; folders, whose images count at any depth; and patterns that no file has as
            its name: `*`, `?`, `[…]`, and `**` for any depth.
    """
    for place in places:
        if place.is_dir():
            yield from _in_folder(place)
        elif glob.has_magic(str(place)) and not place.exists():
            yield from _of_pattern(place)
        else:
            yield place


def _in_folder(place: Path) -> Iterator[Path | NoImage]:
    folder = Folder(place)
    found = list(folder.walk())
    yield from found
    if not found:
        others = folder.count_left_out().suffixes
        there = f"; it has {describe_suffixes(others)}" if others else ""
        yield NoImage(place, DataError(f"{shorten(str(place))}: no image in this folder{there}"))


def _of_pattern(place: Path) -> Iterator[Path | NoImage]:
    pattern = str(place)
    names = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - also of absolute patterns
    found = [path for path in map(Path, names) if is_image_file(path)]
    yield from found
    if not found:
        there = f"; it matches {shorten(names[0], 60)}, which is none" if names else ""
        told = f"{shorten(pattern)}: no image file matches this pattern{there}"
        yield NoImage(place, DataError(told))

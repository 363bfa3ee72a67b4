"""Folder sources: one folder a class, with or without split folders above, or a flat folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge_convnext.data.images import IMAGE_SUFFIXES, is_image_name
from edge_convnext.data.sources import Entry, Listing, Side, choose_sides, is_plain_text
from edge_convnext.errors import DataError

__all__ = ["list_folder"]


def list_folder(folder: Path, labelled: bool = True) -> Listing:
    """List a class-per-folder directory, or (unlabelled) a flat one.

    Raises:
        DataError: No images, an empty class folder, images beside class folders.
    """
    subfolders, loose = _look_into(folder)
    sides = choose_sides(subfolders)
    both = set(sides.values()) == {"train", "val"}
    if sides and (both or all(choose_sides([name]) for name in subfolders)):
        entries = [
            entry
            for name, side in sorted(sides.items())
            for entry in _list_classes(folder / name, side)
        ]
        return Listing(folder, tuple(entries), _describe(subfolders, sides), numbered=False)
    if subfolders:
        return Listing(folder, tuple(_list_classes(folder, None)), None, numbered=False)
    if labelled and loose:
        raise DataError(
            f"{folder}: {len(loose)} images but no class folders; "
            "put the images of each class into a folder of its name, or pass a CSV path,label"
        )
    if not loose:
        raise DataError(f"{folder}: no images here ({_suffixes()})")
    paths = [folder / name for name in loose]
    entries = [Entry(path, None, None, None, None, str(path)) for path in paths]
    return Listing(folder, tuple(entries), None, numbered=False)


def _list_classes(folder: Path, side: Side | None) -> Iterator[Entry]:
    classes, loose = _look_into(folder)
    if loose:
        raise DataError(
            f"{folder}: {len(loose)} images lie outside the class folders (first: {loose[0]}); "
            "move them into one, or away"
        )
    if not classes:
        raise DataError(f"{folder}: no class folders in it")
    for name in classes:
        paths = list(_walk(folder / name))
        if not paths:
            raise DataError(
                f"{folder / name}: class folder without images ({_suffixes()}); "
                "fill it or remove it"
            )
        for path in paths:
            yield Entry(path, name, side, None, None, str(path))


def _look_into(folder: Path) -> tuple[list[str], list[str]]:
    entries = list(_scan(folder))
    subfolders = [entry.name for entry in entries if entry.is_dir()]
    images = [entry.name for entry in entries if not entry.is_dir() and is_image_name(entry.name)]
    return subfolders, images


def _walk(folder: Path) -> Iterator[Path]:
    """Images at any depth, sorted; linked folders inside a class are not entered."""
    for entry in _scan(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name)
        elif is_image_name(entry.name) and not entry.is_dir():
            yield folder / entry.name


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: can't be listed ({error.strerror})") from error
    for entry in shown:
        if not is_plain_text(entry.name):  # no manifest and no report could hold it
            raise DataError(f"{folder}: the name {entry.name!r} is not plain text; rename it")
    return sorted(shown, key=lambda entry: entry.name)


def _describe(subfolders: list[str], sides: dict[str, Side]) -> str:
    used = ", ".join(f"{name}/" for name in subfolders if name in sides)
    unused = ", ".join(f"{name}/" for name in subfolders if name not in sides)
    return f"by folder: {used}" + (f"; not used: {unused}" if unused else "")


def _suffixes() -> str:
    return " ".join(suffix.lstrip(".") for suffix in IMAGE_SUFFIXES)

"""Folder sources: one folder per class, with or without split folders above, or a flat folder.

Archives often unpack into one folder too many, above the classes or between a split and its
classes, with annotations beside. Such levels are looked through. Files that are not read are
counted, and the count is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_convnext.core.class_names import composed
from edge_convnext.core.errors import DataError, shorten
from edge_convnext.core.origins import Fact, Origin
from edge_convnext.data.formats import convertible, describe_suffixes
from edge_convnext.data.layout import (
    is_content_word,
    parts,
    refuse_flat,
    require_classes,
    require_distinct,
    tell_doubtful,
)
from edge_convnext.data.sources import Entry, Listing
from edge_convnext.data.split_names import Side, choose_sides, split_kind
from edge_convnext.data.tree import Folder, LeftOut

__all__ = ["list_folder"]

_DEEPEST = 8  # levels of one folder each


def list_folder(folder: Path, labelled: bool = True) -> Listing:
    """List a class-per-folder directory, or (unlabelled) a flat one.

    Raises:
        DataError: No images, an empty class folder, images beside class folders, or folders
            that look like splits or parts of something else and not like classes.
    """
    way = _look_through(Folder(folder))
    base = way[-1]
    notes = _tell_way(way)
    kept, _ = parts(base)
    names = [one.name for one in kept]
    sides = choose_sides(names)
    both = set(sides.values()) == {"train", "val"}
    strong = all(split_kind(name) for name in names)
    if sides and (strong or (both and not _are_classes(kept, sides))):
        return _list_sides(folder, way, sides, labelled, notes)
    if kept:
        if labelled and not base.images:
            require_classes(base, kept)
        entries = tuple(_list_classes(base, None, labelled, notes))
        return _finish(folder, entries, None, way, kept, notes)
    if labelled and base.images:
        refuse_flat(base, split=False)
    if not base.images:
        raise DataError(
            f"{base.path}: no images here{_what_is_there(base)}; pass the folder that holds the "
            "images, or a folder of them for each class"
        )
    return _finish(folder, tuple(_list_flat(base, None)), None, way, [], notes)


def _are_classes(kept: list[Folder], sides: dict[str, Side]) -> bool:
    """Whether `tr` and `te` among many folders are classes (languages, states), not sides."""
    said = any(split_kind(name) for name in sides)
    return not said and 2 * len(sides) <= len(kept) and all(one.images for one in kept)


def _look_through(folder: Folder, side: bool = False) -> list[Folder]:
    """Go down while a level has a single folder; the last one holds classes, splits or images."""
    way = [folder]
    while len(way) < _DEEPEST:
        here = way[-1]
        kept, _ = parts(here)
        if here.images or len(kept) != 1 or (not side and choose_sides([kept[0].name])):
            return way
        below, _ = parts(kept[0])
        if kept[0].images or not below:  # a class, or all images of a data set without classes
            if not kept[0].images or not _says_nothing(kept[0], here, side):
                return way
            return [*way, *kept] if len(way) == 1 else way[:-1]
        way.append(kept[0])
    return way


def _says_nothing(folder: Folder, above: Folder, side: bool) -> bool:
    """Whether a folder's name states no class: `images/`, or the name of the folder above."""
    name = folder.name
    again = composed(name) == composed(above.name)
    return again or is_content_word(name) or (side and split_kind(name) is not None)


def _list_sides(
    source: Path, way: list[Folder], sides: dict[str, Side], labelled: bool, notes: list[str]
) -> Listing:
    base = way[-1]
    if base.images:
        notes.append(f"{len(base.images)} images beside the split folders are not used.")
    for name, folder in base.folders.items():
        if name not in sides and (count := sum(1 for _ in folder.walk())):
            notes.append(f"{name}/ is not used: its {count} images neither train nor evaluate.")
    entries: list[Entry] = []
    levels, classes = list(way), list[Folder]()
    for name, side in sorted(sides.items()):
        inner = _look_through(base.folders[name], side=True)
        last = inner[-1]
        kept, _ = parts(last)
        levels += inner
        classes += kept
        if last.images and not kept:
            if labelled:
                refuse_flat(last, split=True, beside=_other(base, sides, name))
            entries += _list_flat(last, side)
        else:
            if labelled and not last.images and len(kept) > 1:
                require_classes(last, kept)
            entries += _list_classes(last, side, labelled, notes)
    text = _describe(base, sides, "/".join(one.name for one in way[1:]))
    return _finish(source, tuple(entries), text, levels, classes, notes)


def _list_classes(
    folder: Folder, side: Side | None, labelled: bool, notes: list[str]
) -> Iterator[Entry]:
    kept, helpers = parts(folder)
    if folder.images:
        raise DataError(
            f"{folder.path}: {len(folder.images)} images lie outside the class folders (first: "
            f"{folder.images[0]}); move them into one, or away"
        )
    if not kept:
        raise DataError(f"{folder.path}: no class folders in it{_what_is_there(folder)}")
    if labelled:
        notes += [*require_distinct(folder, kept), *tell_doubtful(kept)]
    notes += [_tell_helper(one) for one in helpers]
    nested = [one for one in kept if parts(one)[0] and not _holds_images_folder(one)]
    if nested:
        first = next(iter(nested[0].folders))
        notes.append(
            f"{len(nested)} class folders hold folders themselves (first: "
            f"{nested[0].name}/{first}/); their images are taken as the class's own."
        )
    for one in kept:
        yield from _list_class(one, side)


def _list_class(folder: Folder, side: Side | None) -> Iterator[Entry]:
    label = composed(folder.name)
    path = None
    for path in folder.walk():
        yield Entry(path, label, side, None, None, str(path))
    if path is None:
        raise DataError(
            f"{folder.path}: class folder without images{_what_is_there(folder)}; "
            "fill it or remove it"
        )


def _list_flat(folder: Folder, side: Side | None) -> Iterator[Entry]:
    for name in folder.images:
        path = folder.path / name
        yield Entry(path, None, side, None, None, str(path))


def _finish(
    source: Path,
    entries: tuple[Entry, ...],
    split_by: str | None,
    levels: list[Folder],
    classes: list[Folder],
    notes: list[str],
) -> Listing:
    """Make the listing, with counts of the files that are not read."""
    left = LeftOut()
    for level in levels:
        left.add(level.left_out)
    for one in classes:
        left.add(one.count_left_out())
    notes += _tell_left_out(left)
    facts = (Fact("split", split_by, Origin("split folders", split_by)),) if split_by else ()
    return Listing(
        source,
        entries,
        split_by,
        numbered=False,
        notes=tuple(notes),
        left_out=_shorten_left_out(left),
        facts=facts,
    )


def _tell_left_out(left: LeftOut) -> list[str]:
    notes = []
    if left.suffixes:
        pictures = convertible(left.suffixes)
        advice = f"; to use the {' '.join(pictures)} files, convert them" if pictures else ""
        notes.append(f"Files that are not read: {describe_suffixes(left.suffixes)}{advice}.")
    for folder, images in sorted(left.hidden_folders.items()):
        notes.append(
            f"The hidden folder {shorten(folder)} has {images} images, which are not read; "
            "rename it if it is a class."
        )
    if left.hidden:
        notes.append(f"{left.hidden} hidden files (a dot first, or of the system) are passed over.")
    return notes


def _shorten_left_out(left: LeftOut) -> str:
    said = [describe_suffixes(left.suffixes)] if left.suffixes else []
    for folder, images in sorted(left.hidden_folders.items())[:3]:
        said.append(f"{images} images in the hidden folder {Path(folder).name}")
    return ", ".join(said)


def _tell_way(way: list[Folder]) -> list[str]:
    notes = []
    for above in way[:-1]:
        notes += [_tell_helper(one) for one in parts(above)[1]]
    if len(way) > 1:
        notes.append(f"Read from {'/'.join(one.name for one in way[1:])}/, the only folder there.")
    return notes


def _tell_helper(folder: Folder) -> str:
    left = folder.count_left_out()
    what = describe_suffixes(left.suffixes) if left.suffixes else "nothing"
    return f"{folder.name}/ holds no images ({what}) and is not read."


def _what_is_there(folder: Folder) -> str:
    left = folder.count_left_out()
    if not left.suffixes:
        return ""
    pictures = convertible(left.suffixes)
    advice = ", which must be converted first" if pictures else ""
    return f" (it has {describe_suffixes(left.suffixes)}{advice})"


def _describe(base: Folder, sides: dict[str, Side], above: str) -> str:
    prefix = f"{above}/" if above else ""
    used = ", ".join(f"{prefix}{name}/" for name in base.folders if name in sides)
    unused = ", ".join(f"{name}/" for name in base.folders if name not in sides)
    return f"by folder: {used}" + (f"; not used: {unused}" if unused else "")


def _other(base: Folder, sides: dict[str, Side], name: str) -> Path | None:
    """Find a side with class folders, beside one that has none."""
    for one in sides:
        last = _look_through(base.folders[one], side=True)[-1]
        if one != name and parts(last)[0]:
            return base.folders[one].path
    return None


def _holds_images_folder(folder: Folder) -> bool:
    """`n01443537/images/`: one folder for all images of a class."""
    return len(folder.folders) == 1 and is_content_word(next(iter(folder.folders)))

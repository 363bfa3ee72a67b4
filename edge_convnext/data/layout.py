"""What a level of folders means: classes, splits, or parts of another kind of data set.

A model learns to tell `Training` from `Testing` as readily as cats from dogs, and none of its
figures looks wrong. So folders that don't look like classes are refused, with what to pass instead.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Sized
from pathlib import Path
from typing import NoReturn

from edge_convnext.core.class_names import composed, differ_in_case
from edge_convnext.core.errors import DataError, shorten
from edge_convnext.data.split_names import choose_sides, have_pairs, split_kind, split_words
from edge_convnext.data.tree import Folder

__all__ = [
    "is_content_word",
    "parts",
    "refuse_flat",
    "require_classes",
    "require_distinct",
    "tell_doubtful",
]

# Folders beside the images; they count as such only where no image lies in them.
_HELPER_WORDS = (
    "annotation annotations label labels meta metadata doc docs document documents script scripts "
    "code src list lists split splits imageset imagesets csv csvs xml xmls json txt text log logs "
    "model models weights checkpoint checkpoints result results output outputs paper papers "
    "readme license licenses info devkit bbox bboxes boundingboxes attributes parts tools"
)
_HELPERS = frozenset(_HELPER_WORDS.split())
# Names that say what a folder holds, not what its images show.
_CONTENT_WORDS = (
    "image images img imgs picture pictures pic pics photo photos jpegimages jpegs jpg jpeg png "
    "pngs data dataset datasets raw file files mask masks groundtruth groundtruths gt segmentation "
    "segmentations segmented annotation annotations label labels meta metadata"
)
_CONTENT = frozenset(_CONTENT_WORDS.split())
# Those of them that are hardly ever class names; `raw`, `photo` and `mask` can be.
_FILE_WORDS = "image images img imgs jpegimages data dataset datasets file files"
_FILES = frozenset(_FILE_WORDS.split())
# With a number behind: parts that a set was cut into for an archive, or for cross-validation.
_PART_WORDS = "fold folds split splits subset subsets chunk chunks shard shards"
_PARTS = frozenset(_PART_WORDS.split())
_PERHAPS_PART_WORDS = "part parts batch batches set sets folder folders volume"
_PERHAPS_PARTS = frozenset(_PERHAPS_PART_WORDS.split())
_PICTURE_SUFFIXES = ".heic .heif .jxl .tga .psd .dng .cr2 .cr3 .nef .arw .raf .orf"
_PICTURES = frozenset(_PICTURE_SUFFIXES.split())


def parts(folder: Folder) -> tuple[list[Folder], list[Folder]]:
    """Split subfolders into those that may hold classes, and helpers such as `annotations/`."""
    kept: list[Folder] = []
    helpers: list[Folder] = []
    for one in folder.folders.values():
        helper = _word(one.name) in _HELPERS and _is_empty(one)
        (helpers if helper else kept).append(one)
    holder = _only_holder(kept)
    if holder is None:
        return kept, helpers
    return [holder], [one for one in folder.folders.values() if one is not holder]


def _only_holder(kept: Sequence[Folder]) -> Folder | None:
    """`images/` or `data/train` beside `src/` and `notebooks/`, in which no image lies."""
    if len(kept) < 2 or any(split_kind(one.name) for one in kept):
        return None
    full = [one for one in kept if not _is_empty(one)]
    if len(full) != 1:
        return None
    holds = is_content_word(full[0].name) or _has_both_sides(full[0])
    return full[0] if holds else None


def _is_empty(folder: Folder) -> bool:
    """Whether there is no image at any depth, nor a picture that could be converted."""
    return not folder.has_images() and not _PICTURES & set(folder.count_left_out().suffixes)


def is_content_word(name: str) -> bool:
    """Whether a folder's name says what files it holds, such as `images`."""
    return _word(name) in _CONTENT


def require_classes(folder: Folder, kept: Sequence[Folder]) -> None:
    """Refuse folders that do not look like classes.

    Raises:
        DataError: They do not; the message says what they look like, and what to pass.
    """
    _refuse_split_words(folder, kept)
    _refuse_splits_below(folder, kept)
    _refuse_copies(folder, kept)
    _refuse_repeats(folder, kept)
    _refuse_contents(folder, kept)


def require_distinct(folder: Folder, kept: Sequence[Folder]) -> list[str]:
    """Note names that differ in case alone.

    Raises:
        DataError: Two names are the same text in two Unicode forms.
    """
    forms: dict[str, list[str]] = defaultdict(list)
    for one in kept:
        forms[composed(one.name)].append(one.name)
    for name, same in forms.items():
        if len(same) > 1:
            raise DataError(
                f"{folder.path}: two folders are called {name}, in two Unicode forms that look "
                "the same; move the images of one into the other"
            )
    groups = differ_in_case(forms)
    if not groups:
        return []
    shown = "; ".join(" and ".join(group) for group in groups[:3])
    return [f"Class folders that differ in case alone count as different classes: {shown}."]


def refuse_flat(folder: Folder, split: bool, beside: Path | None = None) -> NoReturn:
    """Refuse a folder of images without classes, and say what would label them.

    Args:
        folder: Folder with images and no class folders.
        split: True for a side of a split.
        beside: Another side, which has class folders.
    """
    seen = f"{folder.path}: {len(folder.images)} images but no class folders"
    names = _name_prefixes(folder.images)
    if names:
        seen += f" (their names begin with {names}, which is not read as a label)"
    advice = "put the images of each class into a folder of its name, or pass a CSV path,label"
    if beside is not None:
        seen += ", so they have no labels"
        advice += f"; or pass --data {beside} to split that one here"
    lists = _lists_near(folder.path)
    if lists:
        advice += f" (there is {', '.join(lists)})"
    raise DataError(f"{seen}; {advice}")


def _refuse_split_words(folder: Folder, kept: Sequence[Folder]) -> None:
    words = split_words(one.name for one in kept)
    kinds = set(words.values())
    half = 2 * len(words) >= len(kept) and have_pairs(words)  # `train`, `test_tube`: no pair
    several = "train" in kinds and len(kinds) > 1 and (half or len(words) == len(kept))
    nested = [one for one in kept if split_kind(one.name) and _class_names(one)]
    if several or nested:
        shown = _show(words if several else [one.name for one in nested])
        one = nested[0] if nested else kept[0]
        raise DataError(
            f"{folder.path}: {shown} {_look(words if several else nested)} like splits, not like "
            "classes; call them train/ and val/ with the class folders in each, pass --data "
            f"{one.path} for one of them, or a CSV path,label,split; or rename what is a class"
        )


def _refuse_splits_below(folder: Folder, kept: Sequence[Folder]) -> None:
    found = [one for one in kept if _has_both_sides(one)]
    if found and 2 * len(found) >= len(kept):
        names = _show(found[0].folders)
        raise DataError(
            f"{folder.path}: splits lie below the classes ({found[0].name}/ holds {names}); put "
            "them above, as train/CLASS and val/CLASS, or pass a CSV path,label,split"
        )


def _refuse_copies(folder: Folder, kept: Sequence[Folder]) -> None:
    names = {composed(one.name) for one in kept}
    for one in kept:
        same = [name for name in one.folders if composed(name) in names - {composed(one.name)}]
        if len(same) >= 2:
            raise DataError(
                f"{folder.path}: {one.name}/ holds folders called like those beside it "
                f"({_show(same)}), so it is no class but a copy of the set or a part of it; move "
                f"it away, or pass --data {one.path}"
            )


def _refuse_repeats(folder: Folder, kept: Sequence[Folder]) -> None:
    """Refuse a level above the classes: below each of its folders the same folders repeat."""
    below = {one.name: _class_names(one) for one in kept}
    holders = {name: found for name, found in below.items() if found}
    if len(holders) < 2 or 2 * len(holders) < len(kept):
        return
    counts = Counter(name for found in holders.values() for name in found)
    common = sorted(name for name, count in counts.items() if count > 1)
    if len(common) >= 2 and 2 * len(common) >= min(map(len, holders.values())):
        first = next(iter(holders))
        raise DataError(
            f"{folder.path}: the same folders ({_show(common)}) repeat below {_show(holders)}, so "
            "which of them are the classes is not clear; if the inner ones are, pass --data "
            f"{folder.path / first} for one of the outer, or call the outer train/ and val/ if "
            "they are a split; if the outer ones are, pass a CSV path,label"
        )


def _refuse_contents(folder: Folder, kept: Sequence[Folder]) -> None:
    files = [one.name for one in kept if _word(one.name) in _FILES]
    found = [one.name for one in kept if composed(one.name).lower() in _CONTENT - _FILES]
    found += files
    enough = 2 * len(found) >= len(kept) and (files or len(found) > 1)
    if (enough or _numbered(kept) & (_FILES | _PARTS)) and len(kept) > 1:
        shown = sorted(found) if enough else [one.name for one in kept]
        raise DataError(
            f"{folder.path}: {_show(shown)} {_look(shown)} like parts of another kind of data set, "
            "not like classes; give each class a folder, or pass a CSV path,label"
        )


def tell_doubtful(kept: Sequence[Folder]) -> list[str]:
    """Note folders that may be no classes: parts of one set (`part_1`), or `unlabeled/`."""
    notes = [
        f"{shorten(one.name)}/ is taken as a class, though it is called like images without one."
        for one in kept
        if _word(one.name).removesuffix("images") in ("unlabeled", "unlabelled", "unsup")
    ]
    if _numbered(kept) & _PERHAPS_PARTS:
        names = _show(one.name for one in kept)
        notes.append(f"{names} are taken as classes, though they are called like parts of one set.")
    return notes


def _numbered(kept: Sequence[Folder]) -> set[str]:
    """Words of names that differ in their numbers alone."""
    stems = {_word(one.name) for one in kept}
    if len(kept) < 2 or len(stems) > 1 or not all(re.search(r"\d", one.name) for one in kept):
        return set()
    return set(re.findall(r"[^\W\d_]+", kept[0].name.lower()))


def _has_both_sides(folder: Folder, deepest: int = 3) -> bool:
    """Whether both sides lie in a folder, or in its only subfolder: `data/data/train`."""
    if set(choose_sides(folder.folders).values()) == {"train", "val"}:
        return True
    alone = len(folder.folders) == 1 and not folder.images and deepest > 0
    return alone and _has_both_sides(next(iter(folder.folders.values())), deepest - 1)


def _look(names: Sized) -> str:
    return "look" if len(names) > 1 else "looks"


def _class_names(folder: Folder) -> set[str]:
    """Names of the folders with images in a folder that has no image itself."""
    if folder.images:
        return set()
    found = [one for one in folder.folders.values() if one.has_images()]
    if len(found) == 1 and is_content_word(found[0].name):
        return _class_names(found[0])  # `amazon/images/mug`
    return {composed(one.name) for one in found}


def _name_prefixes(names: Sequence[str]) -> str:
    """Beginnings of file names that may be labels: `cat.0.jpg`, `Abyssinian_12.jpg`."""
    found = Counter(re.sub(r"[\W_]*\d+[\W_]*$", "", Path(name).stem) for name in names)
    found.pop("", None)
    if not found or (len(found) > 1 and 2 * len(found) > len(names)):
        return ""
    shown = [shorten(name, 40) for name, _ in found.most_common(3)]
    return f"{', '.join(shown)}{', …' if len(found) > 3 else ''}"


def _lists_near(folder: Path) -> list[str]:
    """CSVs beside images or one level up, which may have their labels."""
    found: list[str] = []
    for where in (folder, folder.parent):
        try:
            found += [str(path) for path in sorted(where.glob("*.csv"))[:2]]
        except OSError:
            continue
    return found[:3]


def _show(names: Iterable[str]) -> str:
    shown = [f"{shorten(name, 60)}/" for name in names]
    if len(shown) > 5:
        return f"{', '.join(shown[:4])} and {len(shown) - 4} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]


def _word(name: str) -> str:
    return re.sub(r"[\W_\d]+", "", name.lower())

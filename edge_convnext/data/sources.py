"""What `--data` and `--calibration` may point to: class folders, flat folders, CSV files.

A class-per-folder directory, with or without a level of split folders above the classes:

    data/cat/1.jpg            data/train/cat/1.jpg    data/val/cat/2.jpg

or a CSV `path,label[,split][,group]`, its paths relative to the CSV. A manifest that a build
wrote (`path,sha256`) is such a CSV too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Entry", "Listing", "Side", "choose_sides", "is_plain_text"]

Side = Literal["train", "val"]

_SIDES: dict[str, Literal["train", "val", "test"]] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # controls; bytes that are not UTF-8


@dataclass(frozen=True)
class Entry:
    """One image that a source lists; nothing has been read of it yet."""

    path: Path
    label: str | None
    side: Side | None  # None where the source has no split
    group: str | None
    sha256: str | None  # what the source says the content is
    where: str  # for messages: the file, or the line of the CSV


@dataclass(frozen=True)
class Listing:
    """Everything one source lists, in a fixed order."""

    source: Path
    entries: tuple[Entry, ...]
    split_by: str | None  # who said which side an entry is on, for the report
    numbered: bool  # labels may be class indices (CSV)


def choose_sides(names: Iterable[str]) -> dict[str, Side]:
    """Map split names to the side they are on; a name that is left out is not used.

    `test` evaluates only where there is no validation split.
    """
    found = {name: _SIDES[name.lower()] for name in names if name.lower() in _SIDES}
    spare = "val" in found.values()
    sides: dict[str, Side] = {}
    for name, kind in found.items():
        if kind != "test":
            sides[name] = kind
        elif not spare:
            sides[name] = "val"
    return sides


def is_plain_text(name: str) -> bool:
    """Tell whether a name can be written into a line of UTF-8 text."""
    return not _UNPRINTABLE.search(name)

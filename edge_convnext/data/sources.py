"""What `--data` and `--calibration` may point to: class folders, flat folders, CSV files.

A class-per-folder directory, with or without a level of split folders above the classes:

    data/cat/1.jpg            data/train/cat/1.jpg    data/val/cat/2.jpg

or a CSV `path,label[,split][,group]`, its paths relative to the CSV. A manifest that a build
wrote (`path,sha256`) is such a CSV too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.core.origins import Fact
from edge_convnext.data.split_names import Side

__all__ = ["Entry", "Listing", "is_plain_text"]

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # controls; bytes that are not UTF-8


@dataclass(frozen=True)
class Entry:
    """One image that a source lists; nothing has been read of it yet."""

    path: Path
    label: str | None  # composed, see `class_names`
    side: Side | None  # None where the source has no split
    group: str | None
    sha256: str | None  # the content's hash, where the source states one
    where: str  # the file, or the line of the CSV, for messages


@dataclass(frozen=True)
class Listing:
    """Everything one source lists, in a fixed order."""

    source: Path
    entries: tuple[Entry, ...]
    split_by: str | None  # what decided which side an entry is on, for the report
    numbered: bool  # labels may be class indices (CSV)
    order: tuple[str, ...] = ()  # class names in an order that the source itself states
    notes: tuple[str, ...] = ()  # sentences on what was guessed, counted or looks wrong
    left_out: str = ""  # the files that are not read, in a few words
    facts: tuple[Fact, ...] = ()
    strict_groups: bool = True  # the column is called `group`, and is not a guess


def is_plain_text(name: str) -> bool:
    """Whether a name can be written into a line of UTF-8 text."""
    return not _UNPRINTABLE.search(name)

"""Class names as lines of text: plain, numbered, or columns of a table."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from edge_convnext.core.class_names import composed
from edge_convnext.core.errors import DataError, shorten

__all__ = [
    "INDEX_KEYS",
    "KEYS",
    "NAME_KEYS",
    "as_index",
    "choose_column",
    "from_lines",
    "order_names",
    "refuse",
]

_LONGEST_LINE = 2000


# Keys of the names in a larger file, the surest first.
_KEY_WORDS = (
    "id2label idx_to_class idx2label index_to_name id_to_name names class_names classes "
    "label_names labels categories class_to_idx label2id class_indices classes_to_idx label_to_id "
    "label_map name_to_id vocab"
)


KEYS = _KEY_WORDS.split()


NAME_KEYS = ("name", "display_name", "label", "class", "class_name", "value")


_HEADERS = frozenset((*KEYS, *NAME_KEYS))


INDEX_KEYS = ("id", "index", "idx", "label_id", "class_id", "class_idx")


_INDEX_FIRST = re.compile(
    r"[(\[]?(\d{1,7})(?:\s*(?:[:,;=|\t]|[-=]>)\s*|[.)\]]?\s+(?:-\s+)?)(\S.*)", re.ASCII
)


_INDEX_LAST = re.compile(r"(.*[^\s:,;=|>])(?:\s*(?:[:,;=|\t]|[-=]>)\s*|\s+)(\d{1,7})", re.ASCII)


_MARKED = re.compile(r"\d+\s*[:,;=|\t]|[:,;=|\t]\s*\d+$", re.ASCII)


_IMAGE_CELL = re.compile(
    r"[\w)]\.(jpe?g|png|bmp|gif|tiff?|webp)\s*(\"?\s*[,;|\t]|$)", re.IGNORECASE
)


_WNID = re.compile(r"(n\d{8})[\s,]+(\S.*)", re.ASCII)


def from_lines(
    path: Path, text: str, data_names: Collection[str], notes: list[str]
) -> Sequence[Any]:
    """Read class names from text that is no JSON or YAML: a name a line, or columns.

    Raises:
        DataError: The lines list images, or which column has the names can't be said.
    """
    lines = [line.strip() for line in text.splitlines()]
    if all(re.match(r"(#\s.*|#?)$", line) for line in lines):
        return []  # of which the caller says that there are no names
    while re.match(r"#(\s|$)", lines[0]):
        notes.append(f"The comment above the names of {path.name} is skipped.")
        lines = lines[1:]
    if all(line.startswith("- ") for line in lines):
        lines = [line[2:].strip().strip("\"'") for line in lines]
    if len(lines) == 1:
        lines = [name.strip() for name in lines[0].split(",")]
        if {one.lower() for one in lines} <= _HEADERS.union(INDEX_KEYS) - set(data_names):
            return []  # a header alone
    if any(map(_IMAGE_CELL.search, lines[:3])):
        first = shorten(lines[0], 60)
        raise DataError(
            f"{path}: a table of images (its first line is '{first}') and no list of class names: "
            "pass it as --data, and as --labels a file with one class name a line"
        )
    if any(len(line) > _LONGEST_LINE for line in lines):
        return lines  # which are no names
    if all(re.fullmatch(r"\"[^\"]*\"|'[^']*'", line) for line in lines):
        lines = [line[1:-1] for line in lines]
    below = set(map(composed, lines[1:]))
    if data_names and lines[0].lower() in _HEADERS and set(data_names) <= below:
        notes.append(f"The header of {path.name}, {lines[0]}, is skipped.")
        return lines[1:]
    if data_names and set(data_names) <= set(map(composed, lines)):
        return lines  # `001 cat` is a name where the data says so
    indexed = _find_indices(path, lines, notes)
    if indexed is not None:
        return indexed
    return choose_column(_cut_columns(lines), data_names, whole=True)


def _find_indices(path: Path, lines: list[str], notes: list[str]) -> Sequence[str] | None:
    """Names of `0 cat` or `cat,0`, under a header or not; None: the lines are names."""
    for body in (lines, lines[1:]):
        first = [_INDEX_FIRST.fullmatch(line) for line in body]
        last = [_INDEX_LAST.fullmatch(line) for line in body]
        pairs = [(int(one[1]), one[2]) for one in first if one is not None]
        if len(pairs) < len(body) or not body:
            pairs = [(int(one[2]), one[1]) for one in last if one is not None]
        if len(pairs) < len(body) or len(body) < 2:
            continue
        names = [name.strip("\"'") for _, name in pairs]
        indices = [index for index, _ in pairs]
        numbers = list(map(as_index, names))
        if None not in numbers and numbers != indices:
            refuse(path, "two columns of numbers, so which of them are the names is not said")
        if 2 * len(set(names)) <= len(names):  # `1 euro`, `2 euro`: the number is the name
            return None
        counts = (list(range(len(pairs))), list(range(1, len(pairs) + 1)))
        if sorted(indices) not in counts and not all(map(_MARKED.search, body)):
            return None
        return order_names(
            path, [(i, [n]) for (i, _), n in zip(pairs, names, strict=True)], notes, ()
        )
    return None


def _cut_columns(lines: list[str]) -> list[list[str]]:
    """Other readings of each line, the whole of it first: a WordNet id and names, columns."""
    wnids = [_WNID.fullmatch(line) for line in lines]
    if all(wnids):
        return [
            [line, one[1], one[2], one[2].split(",")[0]]
            for line, one in zip(lines, wnids, strict=True)
            if one is not None
        ]
    for mark in ("\t", ";", "|", ","):
        rows = [[cell.strip().strip('"') for cell in line.split(mark)] for line in lines]
        if len({len(row) for row in rows}) == 1 and len(rows[0]) > 1:
            return [[line, *row] for line, row in zip(lines, rows, strict=True)]
    return [[line] for line in lines]


def choose_column(
    rows: list[list[str]], data_names: Collection[str], whole: bool = False
) -> Sequence[str]:
    """Choose the column with every name of the data; else the whole line, or the last column."""
    width = min((len(row) for row in rows), default=0)
    columns = [[row[place] for row in rows] for place in range(width)]
    for column in columns:
        if data_names and set(data_names) <= set(map(composed, column)):
            return column
    if not columns:
        return []
    return columns[0] if whole else columns[-1]


def order_names(
    path: Path,
    pairs: list[tuple[int, list[str]]],
    notes: list[str],
    data_names: Collection[str],
) -> Sequence[str]:
    """Order names by their indices: 0, 1, 2, …; or 1, 2, 3, …, with a note."""
    indices = sorted(index for index, _ in pairs)
    count = len(indices)
    if indices == list(range(1, count + 1)):
        notes.append(
            f"The indices of {path.name} run from 1 to {count}; they are taken as logits 0 to "
            f"{count - 1}."
        )
    elif indices != list(range(count)):
        twice = next((a for a, b in pairwise(indices) if a == b), None)
        fault = f"{twice} comes twice" if twice is not None else (
            f"they run from {indices[0]} to {indices[-1]}"
        )  # fmt: skip
        refuse(path, f"{count} names whose indices are not 0 to {count - 1} ({fault})")
    rows = [texts for _, texts in sorted(pairs, key=lambda pair: pair[0])]
    return choose_column(rows, data_names)


def as_index(value: Any) -> int | None:
    """A value as a class index, or None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < 10**7 else None
    text = value if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"\d{1,7}", text, re.ASCII) else None


def refuse(path: Path, seen: str) -> NoReturn:
    """Refuse a labels file for what was seen in it."""
    raise DataError(f"{path}: {seen}; write one class name a line, in logit order")

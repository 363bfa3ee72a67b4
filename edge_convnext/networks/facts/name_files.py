"""Class names from text files: lines, numbered lines, tables, literals, TensorFlow's label maps."""

from __future__ import annotations

import csv
import re
from typing import Any

from edge_convnext.networks.facts.class_names import parse_lines, read_names
from edge_convnext.networks.facts.texts import parse_json, parse_python

__all__ = ["parse_names"]

_ITEM = re.compile(r"item\s*\{([^{}]*)\}")
_ID = re.compile(r"\bid\s*:\s*(\d{1,6})")
_NAME = re.compile(r"\b(?:display_name|name)\s*:\s*[\"']([^\"'\n]*)[\"']")
_TITLES = frozenset((
    "", "id", "idx", "index", "no", "num", "number", "class", "class_id", "class_idx", "classid",
    "class_index", "class_name", "classname", "label", "label_id", "label_idx", "label_name",
    "name", "names", "labels", "classes", "category", "species", "target", "code", "encoded",
    "unnamed: 0", "r", "g", "b",
))  # fmt: skip
_MOST_ROWS = 100_000


def parse_names(text: str, suffix: str) -> tuple[str, ...]:
    """Read names in logit order; () where the text holds none.

    Args:
        text: Content of a file of class names.
        suffix: Suffix of the file's name, ".csv".
    """
    if suffix == ".pbtxt" or _ITEM.match(text.lstrip()):
        return _of_label_map(text)
    if text.lstrip()[:1] in ("[", "{", "(") and (names := read_names(_literal(text))):
        return names
    if suffix == ".csv" and (names := _of_table(text)):
        return names
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("#"):  # a comment above the names
        lines = [line for line in lines if not line.startswith("#")]
    if len(lines) == 1 and "," in lines[0]:
        return read_names(lines[0])
    return parse_lines("\n".join(lines))


def _literal(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return parse_python(f"names = {text.strip()}").get("names")


def _of_label_map(text: str) -> tuple[str, ...]:
    """Read TensorFlow's `label_map.pbtxt`, which is numbered from 1."""
    pairs = [(_ID.search(one), _NAME.search(one)) for one in _ITEM.findall(text)]
    return read_names({int(i[1]): n[1] for i, n in pairs if i and n}, "id_to_name")


def _of_table(text: str) -> tuple[str, ...]:
    """Read names of a table with a header: ordered by its column of numbers, else as they are."""
    try:
        rows = [row for row in csv.reader(text.splitlines()[:_MOST_ROWS]) if row]
    except csv.Error:
        return ()
    if len(rows) < 2 or not all(cell.strip().lower() in _TITLES for cell in rows[0]):
        return ()
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        return ()
    columns = [[row[at].strip() for row in rows[1:]] for at in range(width)]
    names = next((one for one in columns if not any(map(str.isdecimal, one))), None)
    if names is None:
        return ()
    for column in columns:
        if column is not names and (numbered := read_names(dict(zip(column, names, strict=True)),
                                                           "id_to_name")):  # fmt: skip
            return numbered if len(numbered) == len(names) else ()
    return read_names(names)

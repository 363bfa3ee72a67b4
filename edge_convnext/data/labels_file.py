"""Class names in logit order from a file, in the forms that training tools and people write.

Lines (`cat`, `0 cat`, `0: cat`, `cat,0`), JSON and YAML lists and dicts (`id2label`,
`class_to_idx`, Keras' `class_indices`, ImageNet's `{"0": ["n01440764", "tench"]}`, YOLO's
`names:`), TensorFlow's label maps. What could be read in two ways is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edge_convnext.core.bounded import require_regular
from edge_convnext.core.class_names import composed, tell_apart
from edge_convnext.core.errors import DataError, shorten
from edge_convnext.core.plain_yaml import NoAliases
from edge_convnext.data.label_lines import (
    INDEX_KEYS,
    KEYS,
    NAME_KEYS,
    as_index,
    choose_column,
    from_lines,
    order_names,
    refuse,
)
from edge_convnext.data.sources import is_plain_text

__all__ = ["LabelsFile", "read_labels", "read_labels_file"]

_MOST_BYTES = 64 << 20
_MOST_YAML_CHARS = 4 << 20  # its parser is slow
_SHOWN_CHARS = 200
_PASS = "pass a file with one class name a line, in logit order"
_YAML = re.compile(rf"^({'|'.join(KEYS)})\s*:", re.MULTILINE)


@dataclass(frozen=True)
class LabelsFile:
    """Names in logit order, and what was guessed about the file."""

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


class _TwiceError(Exception):
    """A key occurs twice: readers differ in which one they take."""


class _Loader(NoAliases, yaml.BaseLoader):
    """Reads all values as text: `no` is a name."""


def read_labels_file(path: Path) -> tuple[str, ...]:
    """`read_labels` without knowledge of the data."""
    return read_labels(path).names


def read_labels(path: Path, data_names: Collection[str] = ()) -> LabelsFile:
    """Read class names in logit order; names that come twice get their index.

    Args:
        path: Labels file, in one of the forms above.
        data_names: Class names of the data. They decide between two names of a class
            (`n01440764` and `tench`), and whether a number belongs to the name.

    Raises:
        DataError: The file is unreadable, empty or ambiguous, or an entry is not a name.
    """
    notes: list[str] = []
    text = _read_text(path)
    if text.startswith(("[", "{")) and not re.match(r"\[\d+\]\s*\S", text):
        names = _from_value(path, _parse(path, text), data_names, notes)
    elif re.search(r"\bitem\s*\{", text):
        names = _from_label_map(path, text, notes)
    elif path.suffix.lower() in (".yaml", ".yml") or _YAML.search(text):
        names = _from_value(path, _parse_yaml(path, text), data_names, notes)
    else:
        names = from_lines(path, text, data_names, notes)
    checked = _with_blanks(_check(path, names), data_names)
    names = tell_apart(checked)
    if names != tuple(map(composed, checked)):
        twice = next(name for name in names if "#" in name and name not in checked)
        notes.append(f"Names that come twice in {path.name} have their index, such as {twice}.")
    return LabelsFile(names, tuple(notes))


def _with_blanks(names: list[str], data_names: Collection[str]) -> list[str]:
    """Match the line `cat` with the data's folder ` cat`: lines lose blanks at their ends."""
    blank = {name.strip(): name for name in data_names if name != name.strip()}
    known = set(data_names)
    return [name if name in known else blank.get(name.strip(), name) for name in names]


def _read_text(path: Path) -> str:
    try:
        size = require_regular(path)
        if size > _MOST_BYTES:
            raise DataError(f"{path}: over {_MOST_BYTES} bytes, which no list of names has")
        data = path.read_bytes()
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        return data.decode("utf-16" if utf16 else "utf-8-sig").strip()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}); {_PASS}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save it as UTF-8") from error


def _parse(path: Path, text: str) -> Any:
    kind = "list" if text.startswith("[") else "object"
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except _TwiceError as error:
        return refuse(path, f"'{error}' comes twice")
    except (ValueError, RecursionError) as error:
        reason = error
    try:  # Python's own form, as in ImageNet's well-known `{0: 'tench, Tinca tinca', …`
        if "'" in text and len(text) <= _MOST_YAML_CHARS:
            return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        pass
    raise DataError(f"{path}: starts like a JSON {kind} but is none ({reason})") from reason


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _TwiceError(shorten(twice, 60))
    return found


def _parse_yaml(path: Path, text: str) -> Any:
    try:
        if len(text) > _MOST_YAML_CHARS:
            raise yaml.YAMLError(f"over {_MOST_YAML_CHARS} characters")
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not YAML ({shorten(str(error))})") from error


def _from_value(
    path: Path, value: Any, data_names: Collection[str], notes: list[str]
) -> Sequence[Any]:
    """Read names from a list or a dict, also where it lies deeper."""
    if value in ("", None):  # YAML of comments alone, or `names:` with nothing behind it
        return []
    if isinstance(value, Mapping):
        if len(value) == 1 and (empty := next(iter(value))) in KEYS and not value[empty]:
            return []
        inner = next((key for key in KEYS if isinstance(value.get(key), list | Mapping)), None)
        if inner is not None:
            return _from_value(path, value[inner], data_names, notes)
        return _from_dict(path, value, data_names, notes)
    if not isinstance(value, list):
        refuse(path, "neither a list nor a mapping of class names")
    if value and all(isinstance(one, Mapping) for one in value):
        return _from_records(path, value, notes)
    if value and all(isinstance(one, list) and len(one) > 1 for one in value):
        rows = [[str(text) for text in one] for one in value]
        first, last = ([as_index(row[place]) for row in rows] for place in (0, -1))
        for indices, names in ((first, [r[1:] for r in rows]), (last, [r[:-1] for r in rows])):
            if None not in indices:
                pairs = [(i or 0, texts) for i, texts in zip(indices, names, strict=True)]
                return order_names(path, pairs, notes, data_names)
        return choose_column(rows, data_names)
    return value


def _from_dict(
    path: Path, value: Mapping[Any, Any], data_names: Collection[str], notes: list[str]
) -> Sequence[Any]:
    keys = [as_index(key) for key in value]
    values = [as_index(one) for one in value.values()]
    by_key, by_value = None not in keys, None not in values
    if not value:
        return []
    if by_key and by_value:
        if keys == values:
            return [str(key) for key in value]
        refuse(path, "maps numbers to numbers, so which of them are the names is not said")
    if by_key:
        pairs = zip(keys, map(_texts, value.values()), strict=True)
        return order_names(path, [(key or 0, texts) for key, texts in pairs], notes, data_names)
    if by_value:
        return order_names(
            path, [(i or 0, [str(key)]) for key, i in zip(value, values, strict=True)], notes, ()
        )
    first = shorten(str(next(iter(value))), 60)
    return refuse(path, f"a mapping without indices (its first key is '{first}')")


def _from_records(
    path: Path, records: Sequence[Mapping[str, Any]], notes: list[str]
) -> Sequence[Any]:
    """`[{"id": 0, "name": "cat"}, …]`: COCO's categories, Label Studio's and CVAT's labels."""
    key = next((key for key in NAME_KEYS if all(key in one for one in records)), None)
    if key is None:
        refuse(path, f"a list of records without a name (keys: {', '.join(map(str, records[0]))})")
    index = next((k for k in INDEX_KEYS if all(as_index(r.get(k)) is not None for r in records)),
                 None)  # fmt: skip
    if index is None:
        return [one[key] for one in records]
    pairs = [(as_index(one[index]) or 0, [str(one[key])]) for one in records]
    return order_names(path, pairs, notes, ())


def _from_label_map(path: Path, text: str, notes: list[str]) -> Sequence[Any]:
    """TensorFlow's `item { id: 1 name: 'cat' }`."""
    pairs: list[tuple[int, list[str]]] = []
    for body in re.findall(r"item\s*\{([^{}]*)\}", text):
        index = re.search(r"\bid\s*:\s*(\d{1,7})", body)
        name = re.search(r"\b(?:display_)?name\s*:\s*(['\"])(.*?)\1", body)
        if index is None or name is None:
            refuse(path, "a label map with an item that has no id or no name")
        pairs.append((int(index[1]), [name[2]]))
    return order_names(path, pairs, notes, ())


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        found = [str(value[key]) for key in NAME_KEYS if key in value]
        return found[:1] or [str(value)]
    return [str(one) for one in value] if isinstance(value, list) and value else [str(value)]


def _check(path: Path, names: Sequence[Any]) -> list[str]:
    if not names:
        raise DataError(f"{path}: no class names in it; write one a line, in logit order")
    for line, name in enumerate(names, start=1):
        if not isinstance(name, str) or not name.strip():
            raise DataError(
                f"{path}: entry {line} is not a class name: {repr(name)[:_SHOWN_CHARS]}"
            )
        if len(name) > _SHOWN_CHARS or not is_plain_text(name.strip()):
            raise DataError(
                f"{path}: entry {line} is not one line of at most {_SHOWN_CHARS} characters"
            )
    return [name.strip() for name in names]

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
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import yaml

from edge_convnext.core.bounded import require_regular
from edge_convnext.core.class_names import composed, tell_apart
from edge_convnext.core.errors import DataError, shorten
from edge_convnext.data.sources import is_plain_text

__all__ = ["LabelsFile", "read_labels", "read_labels_file"]

_MOST_BYTES = 64 << 20
_MOST_YAML_CHARS = 4 << 20  # its parser is slow
_SHOWN_CHARS = 200
_LONGEST_LINE = 2000
# Keys of the names in a larger file, the surest first.
_KEY_WORDS = (
    "id2label idx_to_class idx2label index_to_name id_to_name names class_names classes "
    "label_names labels categories class_to_idx label2id class_indices classes_to_idx label_to_id "
    "label_map name_to_id vocab"
)
_KEYS = _KEY_WORDS.split()
_YAML = re.compile(rf"^({'|'.join(_KEYS)})\s*:", re.MULTILINE)
_NAME_KEYS = ("name", "display_name", "label", "class", "class_name", "value")
_HEADERS = frozenset((*_KEYS, *_NAME_KEYS))
_INDEX_KEYS = ("id", "index", "idx", "label_id", "class_id", "class_idx")
_INDEX_FIRST = re.compile(
    r"[(\[]?(\d{1,7})(?:\s*(?:[:,;=|\t]|[-=]>)\s*|[.)\]]?\s+(?:-\s+)?)(\S.*)", re.ASCII
)
_INDEX_LAST = re.compile(r"(.*[^\s:,;=|>])(?:\s*(?:[:,;=|\t]|[-=]>)\s*|\s+)(\d{1,7})", re.ASCII)
_MARKED = re.compile(r"\d+\s*[:,;=|\t]|[:,;=|\t]\s*\d+$", re.ASCII)
_IMAGE_CELL = re.compile(
    r"[\w)]\.(jpe?g|png|bmp|gif|tiff?|webp)\s*(\"?\s*[,;|\t]|$)", re.IGNORECASE
)
_WNID = re.compile(r"(n\d{8})[\s,]+(\S.*)", re.ASCII)


@dataclass(frozen=True)
class LabelsFile:
    """Names in logit order, and what was guessed about the file."""

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


class _TwiceError(Exception):
    """A key occurs twice: readers differ in which one they take."""


class _Loader(yaml.BaseLoader):
    """Reads all values as text (`no` is a name); refuses aliases, which can become gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases")
        return super().compose_node(parent, index)


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
        names = _from_lines(path, text, data_names, notes)
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
        raise DataError(f"{path}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save it as UTF-8") from error


def _parse(path: Path, text: str) -> Any:
    kind = "list" if text.startswith("[") else "object"
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except _TwiceError as error:
        return _refuse(path, f"'{error}' comes twice")
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
    if isinstance(value, Mapping):
        inner = next((key for key in _KEYS if isinstance(value.get(key), list | Mapping)), None)
        if inner is not None:
            return _from_value(path, value[inner], data_names, notes)
        return _from_dict(path, value, data_names, notes)
    if not isinstance(value, list):
        _refuse(path, "neither a list nor a mapping of class names")
    if value and all(isinstance(one, Mapping) for one in value):
        return _from_records(path, value, notes)
    if value and all(isinstance(one, list) and len(one) > 1 for one in value):
        rows = [[str(text) for text in one] for one in value]
        first, last = ([_as_index(row[place]) for row in rows] for place in (0, -1))
        for indices, names in ((first, [r[1:] for r in rows]), (last, [r[:-1] for r in rows])):
            if None not in indices:
                pairs = [(i or 0, texts) for i, texts in zip(indices, names, strict=True)]
                return _order(path, pairs, notes, data_names)
        return _choose_column(rows, data_names)
    return value


def _from_dict(
    path: Path, value: Mapping[Any, Any], data_names: Collection[str], notes: list[str]
) -> Sequence[Any]:
    keys = [_as_index(key) for key in value]
    values = [_as_index(one) for one in value.values()]
    by_key, by_value = None not in keys, None not in values
    if not value:
        return []
    if by_key and by_value:
        if keys == values:
            return [str(key) for key in value]
        _refuse(path, "maps numbers to numbers, so which of them are the names is not said")
    if by_key:
        pairs = zip(keys, map(_texts, value.values()), strict=True)
        return _order(path, [(key or 0, texts) for key, texts in pairs], notes, data_names)
    if by_value:
        return _order(
            path, [(i or 0, [str(key)]) for key, i in zip(value, values, strict=True)], notes, ()
        )
    first = shorten(str(next(iter(value))), 60)
    return _refuse(path, f"a mapping without indices (its first key is '{first}')")


def _from_records(
    path: Path, records: Sequence[Mapping[str, Any]], notes: list[str]
) -> Sequence[Any]:
    """`[{"id": 0, "name": "cat"}, …]`: COCO's categories, Label Studio's and CVAT's labels."""
    key = next((key for key in _NAME_KEYS if all(key in one for one in records)), None)
    if key is None:
        _refuse(path, f"a list of records without a name (keys: {', '.join(map(str, records[0]))})")
    index = next((k for k in _INDEX_KEYS if all(_as_index(r.get(k)) is not None for r in records)),
                 None)  # fmt: skip
    if index is None:
        return [one[key] for one in records]
    pairs = [(_as_index(one[index]) or 0, [str(one[key])]) for one in records]
    return _order(path, pairs, notes, ())


def _from_label_map(path: Path, text: str, notes: list[str]) -> Sequence[Any]:
    """TensorFlow's `item { id: 1 name: 'cat' }`."""
    pairs: list[tuple[int, list[str]]] = []
    for body in re.findall(r"item\s*\{([^{}]*)\}", text):
        index = re.search(r"\bid\s*:\s*(\d{1,7})", body)
        name = re.search(r"\b(?:display_)?name\s*:\s*(['\"])(.*?)\1", body)
        if index is None or name is None:
            _refuse(path, "a label map with an item that has no id or no name")
        pairs.append((int(index[1]), [name[2]]))
    return _order(path, pairs, notes, ())


def _from_lines(
    path: Path, text: str, data_names: Collection[str], notes: list[str]
) -> Sequence[Any]:
    lines = [line.strip() for line in text.splitlines()]
    while lines and re.match(r"#(\s|$)", lines[0]):
        notes.append(f"The comment above the names of {path.name} is skipped.")
        lines = lines[1:]
    if lines and all(line.startswith("- ") for line in lines):
        lines = [line[2:].strip().strip("\"'") for line in lines]
    if len(lines) == 1 and "," in lines[0]:
        lines = [name.strip() for name in lines[0].split(",")]
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
    return _choose_column(_cut_columns(lines), data_names, whole=True)


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
        numbers = list(map(_as_index, names))
        if None not in numbers and numbers != indices:
            _refuse(path, "two columns of numbers, so which of them are the names is not said")
        if 2 * len(set(names)) <= len(names):  # `1 euro`, `2 euro`: the number is the name
            return None
        counts = (list(range(len(pairs))), list(range(1, len(pairs) + 1)))
        if sorted(indices) not in counts and not all(map(_MARKED.search, body)):
            return None
        return _order(path, [(i, [n]) for (i, _), n in zip(pairs, names, strict=True)], notes, ())
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


def _choose_column(
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


def _order(
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
        _refuse(path, f"{count} names whose indices are not 0 to {count - 1} ({fault})")
    rows = [texts for _, texts in sorted(pairs, key=lambda pair: pair[0])]
    return _choose_column(rows, data_names)


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        found = [str(value[key]) for key in _NAME_KEYS if key in value]
        return found[:1] or [str(value)]
    return [str(one) for one in value] if isinstance(value, list) and value else [str(value)]


def _as_index(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < 10**7 else None
    text = value if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"\d{1,7}", text, re.ASCII) else None


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


def _refuse(path: Path, seen: str) -> NoReturn:
    raise DataError(f"{path}: {seen}; write one class name a line, in logit order")

"""Class names in logit order, from the forms in which tools and scripts write them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from edge_convnext.core.class_names import tell_apart
from edge_convnext.networks.facts.values import plain_value

__all__ = ["count_from_one", "parse_lines", "read_names"]

_MOST_CLASSES = 100_000
_MOST_CHARS = 200
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TO_INDEX = re.compile(r"to_?i|2_?i|indices|class_?map|to_?num")  # class_to_idx, label2id
_INDEX_KEYS = ("index", "idx", "id", "class_id", "label_id", "class_idx", "value")
_NESTED = (
    "names", "class_names", "classes", "labels", "label_names", "categories", "class_to_idx",
    "id2label", "items",
)  # fmt: skip
_PLACEHOLDER = re.compile(r"LABEL_\d+")  # transformers' names where none were given


def read_names(value: Any, key: str = "") -> tuple[str, ...]:
    """Read the names of a value, in logit order; () where it holds none.

    Args:
        value: List of names, or of mappings with a name each; a mapping of names to indices or of
            indices to names, an index being a number or its text; a text of names and commas; or
            a mapping with one of these under the usual keys.
        key: Key of the value; it decides the direction of a mapping of numbers to numbers.
    """
    value = plain_value(value)
    if isinstance(value, str):
        names = _from_text(value)
    elif isinstance(value, Mapping):
        names = _from_mapping(value, key)
    elif isinstance(value, list | tuple):
        value = _in_order(value)
        names = [_name_of(one) for one in value[: _MOST_CLASSES + 1]]
    else:
        return ()
    return _checked(names)


def _in_order(values: Sequence[Any]) -> Sequence[Any]:
    """Put entries that state their index, as mappings or pairs, into its order."""
    if len(values) > _MOST_CLASSES:
        return values
    plain = [plain_value(one) for one in values]
    if all(isinstance(one, Mapping) for one in plain):
        for key in _INDEX_KEYS:
            found = {n: one for one in plain if (n := _index(one.get(key))) is not None}
            if len(found) == len(plain) and _counts(found):
                return [found[number] for number in sorted(found)]
    if all(isinstance(one, list | tuple) and len(one) == 2 for one in plain):
        for number, name in ((0, 1), (1, 0)):
            pairs = {one[number]: one[name] for one in plain if type(one[number]) is int}
            texts = all(isinstance(one, str | bytes) for one in pairs.values())
            if len(pairs) == len(plain) and _counts(pairs) and texts:
                return [pairs[index] for index in sorted(pairs)]
    return values


def parse_lines(text: str) -> tuple[str, ...]:
    """Read names of a text file: one per line, perhaps with its index before or after it."""
    numbered = _number_lines(text)
    if numbered:
        return _checked([numbered[number] for number in sorted(numbered)])
    return _checked([line.strip() for line in text.splitlines() if line.strip()])


def _number_lines(text: str) -> dict[int, str]:
    """Names by the index that stands before or behind each; none where lines are names."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for pattern, index, name in (
        (r"(\d{1,6})\s*[:,;=\t ]\s*(\S.*)", 1, 2),
        (r"(.*\S)\s*[:,;=\t ]\s*(\d{1,6})", 2, 1),
    ):
        found = [re.fullmatch(pattern, line) for line in lines]
        numbered = {int(m[index]): m[name].strip("\"' ") for m in found if m}
        if lines and all(found) and len(numbered) == len(lines) and _counts(numbered):
            return numbered
    return {}


def count_from_one(value: Any) -> bool:
    """Whether the indices that a value states for its names run from 1, and not from 0.

    Args:
        value: Value that `read_names` and `parse_lines` take.
    """
    value = plain_value(value)
    if isinstance(value, str):
        return min(_number_lines(value), default=0) == 1
    if isinstance(value, Mapping):
        inner = next((value[key] for key in _NESTED if isinstance(
            value.get(key), list | tuple | Mapping)), None)  # fmt: skip
        sides = ([_index(one) for one in value], [_index(one) for one in value.values()])
        return count_from_one(inner) if inner is not None else _run_from_one(*sides)
    if not isinstance(value, list | tuple) or len(value) > _MOST_CLASSES:
        return False
    rows = [plain_value(one) for one in value]
    if rows and all(isinstance(one, Mapping) for one in rows):
        return _run_from_one(*([_index(one.get(key)) for one in rows] for key in _INDEX_KEYS))
    if rows and all(isinstance(one, list | tuple) and len(one) == 2 for one in rows):
        return _run_from_one([_index(one[0]) for one in rows], [_index(one[1]) for one in rows])
    return False


def _run_from_one(*sides: Sequence[int | None]) -> bool:
    """Whether one of some columns is 1 to n, and none is 0 to n - 1."""
    found = [sorted(one for one in side if one is not None) for side in sides]
    whole = [side for side in found if side and len(side) == len(sides[0])]
    first = {side[0] for side in whole if side == list(range(side[0], side[0] + len(side)))}
    return 1 in first and 0 not in first


def _counts(numbered: Mapping[int, Any]) -> bool:
    """Whether the indices are 0 to n - 1, or 1 to n."""
    first = min(numbered, default=0)
    return first in (0, 1) and sorted(numbered) == list(range(first, first + len(numbered)))


def _from_text(text: str) -> list[str | None]:
    """Read a text that is JSON, as in the metadata of safetensors, or names with commas."""
    if text[:1] in ("[", "{"):
        try:
            return list(read_names(json.loads(text)))
        except (ValueError, RecursionError):
            return []
    parts = [part.strip() for part in re.split(r"[,;\n]", text)]
    return list(parts) if len(parts) > 1 and all(parts) else []


def _from_mapping(value: Mapping[Any, Any], key: str) -> list[str | None]:
    if len(value) > _MOST_CLASSES:
        return []
    to_index = {_index(v): _text(k) for k, v in value.items()}
    to_name = {_index(k): _name_of(v) for k, v in value.items()}
    ways = [to_index, to_name] if _TO_INDEX.search(key.lower()) else [to_name, to_index]
    if not any(isinstance(v, str | list | tuple | Mapping) for v in value.values()):
        ways = [to_index, to_name] if not all(isinstance(k, int) for k in value) else ways
    for way in ways:
        numbers = {number: name for number, name in way.items() if number is not None}
        if len(numbers) == len(value) and _counts(numbers):
            return [numbers[number] for number in sorted(numbers)]
    return _from_nested(value)


def _from_nested(value: Mapping[Any, Any]) -> list[str | None]:
    for key in _NESTED:
        inner = value.get(key)
        if isinstance(inner, list | tuple | Mapping) and inner is not value:
            return list(read_names(inner, key))
    return []


def _index(value: Any) -> int | None:
    value = plain_value(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,6}", value) else None


def _name_of(value: Any) -> str | None:
    """Read one name: a text or number, a mapping that has one, or ["n01440764", "tench"]."""
    value = plain_value(value)
    if isinstance(value, Mapping):
        keys = ("name", "label", "class_name", "class", "display_name", "title")
        return next((_text(value[key]) for key in keys if key in value), None)
    if isinstance(value, list | tuple):
        return _text(value[-1]) if 0 < len(value) <= 3 else None
    return _text(value)


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _checked(names: Sequence[str | None]) -> tuple[str, ...]:
    """Names that are printable and distinct; those that repeat get their index."""
    if not 0 < len(names) <= _MOST_CLASSES:
        return ()
    whole = [name for name in names if name and len(name) <= _MOST_CHARS and _shows(name)]
    if len(whole) != len(names) or all(_PLACEHOLDER.fullmatch(name) for name in whole):
        return ()
    return tell_apart(whole)


def _shows(name: str) -> bool:
    return _CONTROLS.search(name) is None

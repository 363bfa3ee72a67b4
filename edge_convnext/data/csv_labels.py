"""Labels of a CSV: one class per image, by name or by number; anything else is refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from edge_convnext.core.errors import DataError, shorten
from edge_convnext.data.sources import Entry

__all__ = ["label_number", "require_one_class"]

_LONGEST_NUMBER = 9
_WHOLE = re.compile(r"\d{1,5}(\.0*|,0+)?", re.ASCII)  # `2,0` beside semicolons
_NEGATIVE = re.compile(r"-\d+(\.0*)?", re.ASCII)
_FRACTION = re.compile(
    r"[+-]?\d{0,20}\.\d{0,20}[1-9]\d{0,20}(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE
)


def require_one_class(entries: Iterable[Entry]) -> None:
    """Refuse labels that are not one class per image.

    Raises:
        DataError: Several classes in one label, negative numbers, measurements.
    """
    where: dict[str, str] = {}
    for entry in entries:
        if entry.label:
            where.setdefault(entry.label, entry.where)
    _refuse_lists(where)
    _refuse_numbers(where)


def label_number(text: str) -> int | None:
    """The whole number that a label is: `2`, `02`, `2.0`, `2,0`; None for any other text."""
    if len(text) > _LONGEST_NUMBER or not _WHOLE.fullmatch(text):
        return None
    return int(re.split(r"[.,]", text)[0])


def _refuse_numbers(where: dict[str, str]) -> None:
    names = sorted(where)
    for name in names:
        if _NEGATIVE.fullmatch(name):
            raise DataError(
                f"{where[name]}: label {name}: a negative number is no class (-1 often means "
                "'not labelled'); take those rows out, or write the names of the classes"
            )
    if names and all(_FRACTION.fullmatch(name) or _WHOLE.fullmatch(name) for name in names):
        first = next((name for name in names if _FRACTION.fullmatch(name)), None)
        if first is not None:
            raise DataError(
                f"{where[first]}: label {shorten(first)} is a measurement, not a class; write the "
                "class of each image"
            )


def _refuse_lists(where: dict[str, str]) -> None:
    several = next(_find_several(set(where)), None)
    if several is not None:
        raise DataError(
            f"{where[several]}: the label '{shorten(several)}' seems to name several classes; an "
            "image needs one class: leave such images out, or name the combination as a class "
            "of its own, with _ in place of what separates it"
        )


def _find_several(names: set[str]) -> Iterator[str]:
    """Labels that are lists: in brackets, or of parts which are labels elsewhere too."""
    ordered = sorted(names)
    yield from (name for name in ordered if re.fullmatch(r"\[.*\]|\{.*\}", name.strip()))
    for mark in ("|", ";", ",", "+", "/", " "):
        cut = {name: _cut(name, mark) for name in ordered}
        listed = [name for name, parts in cut.items() if len(parts) > 1]
        yield from (name for name in listed if all(part in names for part in cut[name]))
        if mark == " " and listed and 2 * len(listed) >= len(ordered) > 1:
            # `frog_eye_spot scab`: a space separates where _ stands within a name.
            shared = Counter(part for parts in cut.values() for part in parts)
            yield from (
                name
                for name in listed
                if all(shared[part] > 1 or "_" in part for part in cut[name])
                and any("_" in part for part in cut[name])
            )
        elif mark in "|;":
            shared = Counter(part for parts in cut.values() for part in parts)
            yield from (name for name in listed if any(shared[part] > 1 for part in cut[name]))


def _cut(name: str, mark: str) -> list[str]:
    parts = [part.strip() for part in name.split(mark)]
    return [part for part in parts if part]

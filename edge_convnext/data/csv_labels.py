"""Labels of a CSV as one class an image: numbers in one form, several classes refused by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from edge_convnext.data.sources import Entry
from edge_convnext.errors import DataError, shorten

__all__ = ["settle_labels"]

_WHOLE = re.compile(r"\d{1,9}\.0*", re.ASCII)
_NEGATIVE = re.compile(r"-\d+(\.0*)?", re.ASCII)
_FRACTION = re.compile(r"[+-]?\d*\.\d*[1-9]\d*(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"\d{1,9}", re.ASCII)


def settle_labels(source: str, entries: list[Entry]) -> tuple[list[Entry], list[str]]:
    """Write numbers in one form: `2.0` and `02` as `2`; refuse what is not one class an image.

    Args:
        source: For messages.
        entries: What the rows say.

    Returns:
        The entries, and sentences on what was changed.

    Raises:
        DataError: Several classes in one label, negative numbers, measurements.
    """
    names = {entry.label for entry in entries if entry.label}
    where = {entry.label: entry.where for entry in reversed(entries)}
    _refuse_lists(names, where)
    _refuse_numbers(names, where)
    changed = _number_forms(names)
    if not changed:
        return entries, []
    old, new = next(iter(sorted(changed.items())))
    note = f"The labels of {source} are read as whole numbers ({old} as {new})."
    settled = [replace(one, label=changed.get(one.label or "", one.label)) for one in entries]
    return settled, [note]


def _number_forms(names: set[str]) -> dict[str, str]:
    if names and all(_WHOLE.fullmatch(name) or _DIGITS.fullmatch(name) for name in names):
        if any("." in name for name in names):
            return {name: str(int(float(name))) for name in names}
        # `007` may be a code: an index only where every number from 0 on is there.
        padded = any(len(name) > 1 and name[0] == "0" for name in names)
        if padded and {int(name) for name in names} == set(range(len(names))):
            return {name: str(int(name)) for name in names if name != str(int(name))}
    return {}


def _refuse_numbers(names: set[str], where: dict[str | None, str]) -> None:
    for name in sorted(names):
        if _NEGATIVE.fullmatch(name):
            raise DataError(
                f"{where[name]}: label {name}: a negative number is no class (-1 often means "
                "'not labelled'); take those rows out, or write the names of the classes"
            )
    if names and all(_FRACTION.fullmatch(name) or _WHOLE.fullmatch(name) for name in names):
        first = next((name for name in sorted(names) if _FRACTION.fullmatch(name)), None)
        if first is not None:
            raise DataError(
                f"{where[first]}: label {shorten(first)} is a measurement, not a class; write the "
                "class of each image"
            )


def _refuse_lists(names: set[str], where: dict[str | None, str]) -> None:
    several = next(_find_several(names), None)
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

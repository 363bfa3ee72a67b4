"""From label texts to class indices: who decides the order of the classes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from edge_convnext.bounded import read_text_bounded
from edge_convnext.data.sources import Entry, Listing, is_plain_text
from edge_convnext.errors import DataError

__all__ = ["class_order", "label_index", "read_labels_file"]

_MOST_BYTES = 64 << 20
_SHOWN_CHARS = 200


def class_order(
    listing: Listing, classes: Sequence[str] | None = None, labels_file: Path | None = None
) -> tuple[str, ...]:
    """Class names in logit order.

    The labels file decides, then the model's own names, then the data: sorted label names, or
    0 up to the highest label where every label of a CSV is a number.

    Args:
        listing: Where the labels come from.
        classes: What the model calls its logits; None or empty when it does not say.
        labels_file: The user's word on the same.

    Raises:
        DataError: The file does not fit the model, or an entry's label is not a class.
    """
    named = tuple(classes or ())
    if labels_file is not None:
        order = read_labels_file(labels_file)
        if named and len(named) != len(order):
            raise DataError(
                f"{labels_file}: {len(order)} class names for a model of {len(named)} classes "
                f"({_shorten(named)})"
            )
        named = order
    if not named:
        return _sort_labels(listing)
    known = {name: index for index, name in enumerate(named)}
    for entry in listing.entries:
        if label_index(entry, known, listing.numbered) is None:
            raise DataError(
                f"{entry.where}: class '{entry.label}' is not one of the model's {len(named)} "
                f"classes ({_shorten(named)}); pass --labels FILE with the data's names in the "
                "model's order"
            )
    return named


def label_index(entry: Entry, known: dict[str, int], numbered: bool) -> int | None:
    """Index of an entry's class: by name, or by number where the source may number."""
    if entry.label is None:
        return None
    if entry.label in known:
        return known[entry.label]
    if numbered and _is_number(entry.label) and int(entry.label) < len(known):
        return int(entry.label)
    return None


def read_labels_file(path: Path) -> tuple[str, ...]:
    """Read class names in logit order: one a line, or a JSON list.

    Raises:
        DataError: Unreadable, empty, an empty or repeated name.
    """
    try:
        text = read_text_bounded(path, _MOST_BYTES).strip()
        names = json.loads(text) if text.startswith("[") else text.splitlines()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: starts like a JSON list but is none ({error})") from error
    if not names:
        raise DataError(f"{path}: no class names in it; write one a line, in logit order")
    seen: dict[str, int] = {}
    for line, name in enumerate(names, start=1):
        if not isinstance(name, str) or not name.strip():
            raise DataError(
                f"{path}: entry {line} is not a class name: {repr(name)[:_SHOWN_CHARS]}"
            )
        if len(name) > _SHOWN_CHARS or not is_plain_text(name.strip()):
            raise DataError(
                f"{path}: entry {line} is not one line of at most {_SHOWN_CHARS} characters"
            )
        if name.strip() in seen:
            raise DataError(
                f"{path}: '{name.strip()}' is both entry {seen[name.strip()]} and entry {line}"
            )
        seen[name.strip()] = line
    return tuple(seen)


def _sort_labels(listing: Listing) -> tuple[str, ...]:
    names = {entry.label for entry in listing.entries if entry.label is not None}
    if listing.numbered and names and all(_is_number(name) for name in names):
        return tuple(str(index) for index in range(max(map(int, names)) + 1))
    return tuple(sorted(names))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"0|[1-9]\d{0,4}", text, re.ASCII) is not None


def _shorten(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown}, …" if len(names) > 5 else shown

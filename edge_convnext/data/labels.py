"""From label texts to class indices: who decides the order of the classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.class_names import nearest_names, plausible_orders, tell_apart
from edge_convnext.data.labels_file import read_labels, read_labels_file
from edge_convnext.data.sources import Entry, Listing
from edge_convnext.errors import DataError, shorten
from edge_convnext.origins import Fact, Origin

__all__ = ["ClassOrder", "class_order", "label_index", "read_labels_file", "settle_classes"]


@dataclass(frozen=True)
class ClassOrder:
    """Class names in logit order, and who says so."""

    names: tuple[str, ...]
    facts: tuple[Fact, ...] = ()  # empty where the model names its classes itself
    notes: tuple[str, ...] = ()
    other_orders: tuple[tuple[str, ...], ...] = ()  # where nothing states the order


def class_order(
    listing: Listing, classes: Sequence[str] | None = None, labels_file: Path | None = None
) -> tuple[str, ...]:
    """The names alone of `settle_classes`."""
    return settle_classes(listing, classes, labels_file).names


def settle_classes(
    listing: Listing, classes: Sequence[str] | None = None, labels_file: Path | None = None
) -> ClassOrder:
    """Class names in logit order.

    The labels file decides, then the model's own names, then the data: the order of its columns,
    0 up to the highest label where every label of a CSV is a number, else sorted label names.

    Args:
        listing: Where the labels come from.
        classes: What the model calls its logits; None or empty when it does not say.
        labels_file: The user's word on the same.

    Raises:
        DataError: The file does not fit the model, or an entry's label is not a class.
    """
    named = tell_apart(tuple(classes or ()))
    order = ClassOrder(named)
    if labels_file is not None:
        order = _from_file(listing, named, labels_file)
    if not order.names:
        return _from_labels(listing)
    known = {name: index for index, name in enumerate(order.names)}
    for entry in listing.entries:
        if label_index(entry, known, listing.numbered) is None:
            raise DataError(_explain_unknown(entry, order.names, listing))
    return order


def label_index(entry: Entry, known: dict[str, int], numbered: bool) -> int | None:
    """Index of an entry's class: by name, or by number where the source may number."""
    if entry.label is None:
        return None
    if entry.label in known:
        return known[entry.label]
    if numbered and _is_number(entry.label) and int(entry.label) < len(known):
        return int(entry.label)
    return None


def _from_file(listing: Listing, named: tuple[str, ...], path: Path) -> ClassOrder:
    read = read_labels(path, {entry.label for entry in listing.entries if entry.label})
    if named and len(named) != len(read.names):
        raise DataError(
            f"{path}: {len(read.names)} class names for a model of {len(named)} classes "
            f"({_shorten(named)})"
        )
    fact = Fact("classes", read.names, Origin("labels file", path.name))
    return ClassOrder(read.names, (fact,), read.notes)


def _from_labels(listing: Listing) -> ClassOrder:
    labels = dict.fromkeys(entry.label for entry in listing.entries if entry.label is not None)
    if listing.order:
        fact = Fact("classes", listing.order, Origin("csv", "the order of its columns"))
        return ClassOrder(listing.order, (fact,))
    if listing.numbered and labels and all(map(_is_number, labels)):
        return _from_numbers(listing, sorted(map(int, labels)))
    names = tuple(sorted(labels))
    orders = plausible_orders(names)
    if listing.numbered and tuple(labels) not in (names, *orders):
        orders = (*orders, tuple(labels))  # pandas' factorize: as they come
    kind = "csv" if listing.numbered else "folder names"
    origin = Origin("csv" if kind == "csv" else "folder names", "sorted as text")
    return ClassOrder(names, (Fact("classes", names, origin),), other_orders=orders)


def _from_numbers(listing: Listing, numbers: list[int]) -> ClassOrder:
    """0 up to the highest: a number is never moved, so labels from 1 on are asked about."""
    lowest, highest = numbers[0], numbers[-1]
    if lowest == 1 and len(numbers) == highest:
        raise DataError(
            f"{listing.source}: the labels run from 1 to {highest}, but logits are counted from 0; "
            "write the names of the classes, or subtract 1 (or pass --labels FILE that names "
            "class 0 too, if the model has one)"
        )
    names = tuple(str(index) for index in range(highest + 1))
    notes = []
    if len(numbers) < len(names):
        notes.append(
            f"The labels are numbers from {lowest} to {highest} and are taken as logits: "
            f"{len(names) - len(numbers)} of the {len(names)} classes have no image."
        )
    fact = Fact("classes", names, Origin("csv", "the labels are numbers"))
    return ClassOrder(names, (fact,), tuple(notes))


def _explain_unknown(entry: Entry, named: tuple[str, ...], listing: Listing) -> str:
    label = entry.label or ""
    said = (
        f"{entry.where}: class '{shorten(label)}' is not one of the model's {len(named)} classes "
        f"({_shorten(named)})"
    )
    near = nearest_names(label, named)
    twice = [name for name in named if name.rpartition("#")[0] == label and label]
    numbers = {one.label for one in listing.entries}
    if near:
        said += f"; it has '{near[0]}', which differs in case or separators alone"
    elif twice:
        said += f"; it has {' and '.join(twice)}, told apart by their index"
    elif listing.numbered and label == str(len(named)) and "0" not in numbers:
        said += "; the labels seem to start at 1, but logits are counted from 0: subtract 1"
    return f"{said}; pass --labels FILE with the data's names in the model's order"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"0|[1-9]\d{0,4}", text, re.ASCII) is not None


def _shorten(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown}, …" if len(names) > 5 else shown

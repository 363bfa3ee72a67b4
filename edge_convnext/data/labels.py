"""From label texts to class indices: who decides the order of the classes."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_convnext.core.class_names import (
    differ_in_case,
    nearest_names,
    plausible_orders,
    tell_apart,
)
from edge_convnext.core.errors import DataError, shorten, shorten_names
from edge_convnext.core.origins import Fact, Origin
from edge_convnext.data.csv_labels import label_number
from edge_convnext.data.labels_file import read_labels, read_labels_file
from edge_convnext.data.sources import Entry, Listing

__all__ = [
    "ClassOrder", "LabelIndex", "class_order", "order_by_file", "read_labels_file",
    "settle_classes",
]  # fmt: skip


_MOST_COMPARED = 10_000  # names that a mistyped one is looked for among


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
    """Settle the class names in logit order.

    The labels file decides, then the model's own names, then the data. The data may state an order
    by its columns. If every label of a CSV is a number, the classes are 0 up to the highest one.
    Otherwise the label names are sorted.

    Args:
        listing: Source of the labels.
        classes: Names of the model's logits; None or empty where it states none.
        labels_file: Labels file of the user, which overrides them.

    Raises:
        DataError: The file does not fit the model, or a label is not a class.
    """
    named = tell_apart(tuple(classes or ()))
    order = ClassOrder(named)
    if labels_file is not None:
        order = _from_file(listing, named, labels_file)
    if not order.names:
        return _from_labels(listing)
    index = LabelIndex(order.names, listing.numbered)
    for entry in listing.entries:
        if index.find(entry.label) is None and labels_file is not None:
            raise DataError(_explain_missing(entry, order.names, listing, labels_file))
        if index.find(entry.label) is None:
            raise DataError(_explain_unknown(entry, order.names, listing))
    return replace(order, notes=(*order.notes, *_tell_numbers(listing, order.names, index)))


class LabelIndex:
    """Indices of labels: by name, or by number where the source may number."""

    def __init__(self, names: Sequence[str], numbered: bool) -> None:
        """`names` in logit order."""
        self._count = len(names)
        self._numbered = numbered
        self._known: dict[str, int | None] = {name: index for index, name in enumerate(names)}
        # Names that are numbers count by their value: `2.0` is class `2` at any index.
        numbers = {label_number(name): index for index, name in enumerate(names)}
        self._by_value = {number: i for number, i in numbers.items() if number is not None}

    def find(self, label: str | None) -> int | None:
        """Return the index of a label; None where it is no class."""
        if label is None:
            return None
        if label not in self._known:
            self._known[label] = self._by_number(label)
        return self._known[label]

    def _by_number(self, label: str) -> int | None:
        number = label_number(label) if self._numbered else None
        if number is None:
            return None
        if self._by_value:
            return self._by_value.get(number)
        return number if number < self._count else None


def _tell_numbers(listing: Listing, names: tuple[str, ...], index: LabelIndex) -> Iterable[str]:
    """Note which class a number was taken for, where the classes have names."""
    labels = {entry.label for entry in listing.entries if entry.label is not None}
    for label in sorted(labels - set(names))[:1]:
        name = shorten(names[index.find(label) or 0], 60)
        yield f"Labels are numbers, taken as logits counted from 0: {label} is {name}."


def order_by_file(
    path: Path,
    num_classes: int | None = None,
    named: Sequence[str] = (),
    data_names: Collection[str] = (),
) -> ClassOrder:
    """Class names by the user's own file, which is held against the model's number of classes.

    Args:
        path: Labels file.
        num_classes: Number of logits of the model; None: it is not known.
        named: The model's own names, for the message.
        data_names: Class names of the data, as for `labels_file.read_labels`.

    Raises:
        DataError: The file can't be read as class names, or the model has another number of them.
    """
    read = read_labels(path, data_names)
    if num_classes is not None and num_classes != len(read.names):
        shown = f" ({shorten_names(named)})" if named else ""
        raise DataError(
            f"{path}: {len(read.names)} class names for a model of {num_classes} classes"
            f"{shown}{_tell_twice(read.names)}; name each of these once, in logit "
            "order, or pass a model of as many"
        )
    fact = Fact("classes", read.names, Origin("labels file", path.name))
    return ClassOrder(read.names, (fact,), read.notes)


def _from_file(listing: Listing, named: tuple[str, ...], path: Path) -> ClassOrder:
    labels = {entry.label for entry in listing.entries if entry.label}
    return order_by_file(path, len(named) or None, named, labels)


def _from_labels(listing: Listing) -> ClassOrder:
    labels = dict.fromkeys(entry.label for entry in listing.entries if entry.label is not None)
    if listing.order:
        fact = Fact("classes", listing.order, Origin("csv", "the order of its columns"))
        return ClassOrder(listing.order, (fact,))
    numbers = _count_from_labels(labels) if listing.numbered else None
    if numbers is not None:
        return _from_numbers(listing, numbers, sorted(labels))
    names = tuple(sorted(labels))
    orders = plausible_orders(names)
    if listing.numbered and tuple(labels) not in (names, *orders):
        orders = (*orders, tuple(labels))  # pandas' factorize: in order of appearance
    kind = "csv" if listing.numbered else "folder names"
    origin = Origin("csv" if kind == "csv" else "folder names", "sorted as text")
    return ClassOrder(
        names, (Fact("classes", names, origin),), _tell_case(names, kind), other_orders=orders
    )


def _tell_case(names: Sequence[str], kind: str) -> tuple[str, ...]:
    """Note labels of a CSV that differ in case alone; for folders, `layout` does it."""
    groups = differ_in_case(names) if kind == "csv" else []
    if not groups:
        return ()
    shown = "; ".join(" and ".join(map(shorten, group)) for group in groups[:3])
    return (f"Labels that differ in case alone count as different classes: {shown}.",)


def _count_from_labels(labels: Iterable[str]) -> list[int] | None:
    """Sorted numbers if all labels are numbers; None where they are names."""
    texts = list(labels)
    values = [number for text in texts if (number := label_number(text)) is not None]
    if not values or len(values) < len(texts):
        return None
    numbers = sorted(set(values))
    padded = any(len(text) > 1 and text[0] == "0" and "." not in text for text in texts)
    running = numbers in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))
    return numbers if running or not padded else None  # `007` and `113` are codes


def _from_numbers(listing: Listing, numbers: list[int], labels: list[str]) -> ClassOrder:
    """Take 0 up to the highest. No number is moved, so labels that start at 1 are refused."""
    lowest, highest = numbers[0], numbers[-1]
    if lowest == 1 and len(numbers) == highest:
        raise DataError(
            f"{listing.source}: the labels run from 1 to {highest}, but logits are counted from 0; "
            "write the names of the classes, or subtract 1 (or pass --labels FILE that names "
            "class 0 too, if the model has one)"
        )
    names = tuple(str(index) for index in range(highest + 1))
    notes = []
    other = next((text for text in labels if text not in names), None)
    if other is not None:
        notes.append(f"Labels such as {other} are read as whole numbers.")
    if len(numbers) < len(names):
        notes.append(
            f"The labels are numbers from {lowest} to {highest} and are taken as logits: "
            f"{len(names) - len(numbers)} of the {len(names)} classes have no image."
        )
    fact = Fact("classes", names, Origin("csv", "the labels are numbers"))
    return ClassOrder(names, (fact,), tuple(notes))


def _explain_missing(entry: Entry, names: tuple[str, ...], listing: Listing, path: Path) -> str:
    """A class of the data that the user's own file does not name: the file is to be mended."""
    label = entry.label or ""
    data_names = {one.label for one in listing.entries if one.label is not None}
    near = nearest_names(label, names)
    said = (
        f"{path}: has {len(names)} names, and the data {len(data_names)} classes, of which it "
        f"lacks '{shorten(label, 60)}' (such as {entry.where})"
    )
    if near:
        return f"{said}; it has '{near[0]}', which differs in case or separators alone"
    if twice := _tell_twice(names):
        return f"{said}{twice}"
    unused = [name for name in names if name not in data_names][:_MOST_COMPARED]
    if alike := difflib.get_close_matches(label, unused, n=1):
        return f"{said}; it has '{shorten(alike[0], 60)}', which the data has not: write one name"
    return f"{said}; write every class once, in logit order"


def _tell_twice(names: Sequence[str]) -> str:
    """Which name the file has twice, and where."""
    bare = [name.rpartition("#")[0] if name.endswith(f"#{i}") else name
            for i, name in enumerate(names)]  # fmt: skip
    counts = Counter(bare)
    twice = next((name for name in bare if counts[name] > 1), None)
    if twice is None:
        return ""
    places = [str(place) for place, name in enumerate(bare, 1) if name == twice]
    listed = " and ".join((", ".join(places[:-1]), places[-1])) if len(places) < 6 else (
        f"{', '.join(places[:3])} and {len(places) - 3} more"
    )  # fmt: skip
    return f"; it has '{shorten(twice, 60)}' {len(places)} times, as names {listed}"


def _explain_unknown(entry: Entry, named: tuple[str, ...], listing: Listing) -> str:
    label = entry.label or ""
    said = (
        f"{entry.where}: class '{shorten(label)}' is not one of the model's {len(named)} classes "
        f"({shorten_names(named)})"
    )
    near = nearest_names(label, named)
    twice = [name for name in named if name.rpartition("#")[0] == label and label]
    numbers = {label_number(one.label or "") for one in listing.entries}
    if near:
        said += f"; it has '{near[0]}', which differs in case or separators alone"
    elif twice:
        said += f"; it has {' and '.join(twice)}, told apart by their index"
    elif listing.numbered and label_number(label) == len(named) and 0 not in numbers:
        said += "; the labels seem to start at 1, but logits are counted from 0: subtract 1"
    elif other := _tell_other_task(listing, named):
        return f"{said}; {other}"
    return f"{said}; pass --labels FILE with the data's names in the model's order"


def _tell_other_task(listing: Listing, named: tuple[str, ...]) -> str | None:
    """Words on data of another number of classes, where other names alone would mend nothing."""
    index = LabelIndex(named, listing.numbered)
    labels = {one.label for one in listing.entries if one.label is not None}
    shared = sum(index.find(label) is not None for label in labels)
    if len(labels) == len(named):
        return None
    if not shared:
        return (
            f"the data's classes ({len(labels)}) are all others: pass data of the model's task, or "
            "a model of the data's classes"
        )
    said = f"it has {shared} of the data's {len(labels)}: leave the images of the others out"
    if len(labels) > len(named):
        return f"{said}, or pass a model of all of them"
    return f"{said}, or pass --labels FILE with {len(named)} names in the model's order"

"""Find out which column of a CSV is what: by its name, else by its content, else refuse."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_convnext.core.errors import DataError, shorten
from edge_convnext.data.csv_names import Role, is_index_name, rank_name
from edge_convnext.data.csv_text import Fields
from edge_convnext.data.formats import is_image_name
from edge_convnext.data.split_names import split_kind

__all__ = ["TRUTHS", "Columns", "find_columns"]

TRUTHS = {
    "true": True, "t": True, "yes": True, "y": True, "1": True, "1.0": True,
    "false": False, "f": False, "no": False, "n": False, "0": False, "0.0": False, "": False,
}  # fmt: skip
_FORM = "path,label[,split][,group]"
_FORM_UNLABELLED = "path[,label][,split][,group][,sha256]"
_LONGEST_NAME = 200
_CERTAIN_SPLITS = 5  # the first so many names of the table always mean a split


@dataclass(frozen=True)
class Columns:
    """Places of what is read; None where the file has no such column."""

    width: int
    path: int
    label: int | None = None
    one_hot: tuple[tuple[int, str], ...] = ()  # places and class names, in the file's order
    split: int | None = None
    flags: tuple[tuple[int, Role], ...] = ()  # `is_valid` and the like
    group: int | None = None
    strict_group: bool = True  # called `group`, and not `patient_id`
    sha256: int | None = None
    header: bool = True
    optional: frozenset[int] = frozenset()  # unnamed: a row may lack them
    notes: tuple[str, ...] = ()


def find_columns(
    source: str, sample: Sequence[Fields], labelled: bool, is_file: Callable[[str], bool]
) -> Columns:
    """Read the header, or find the columns of a file that has none.

    Args:
        source: The CSV, for messages.
        sample: The first rows.
        labelled: True where labels are needed.
        is_file: Predicate: does a text name an image that exists?

    Raises:
        DataError: A needed column is missing; the message lists the columns.
    """
    header = [field.strip() for field in sample[0][1]] if sample else []
    rows = [fields for _, fields in sample[1:]]
    if header and _has_no_header(header, rows, is_file):
        return _guess_columns(source, [fields for _, fields in sample], labelled, is_file)
    if rows and all(len(row) == len(header) + 1 and row[0].isdecimal() for row in rows):
        header = ["", *header]  # R writes row names without a name for their column
    return _Finder(source, header, rows, labelled, is_file).find()


class _Finder:
    """What is found in a header: columns, notes, and what is left over."""

    def __init__(
        self,
        source: str,
        header: list[str],
        rows: list[list[str]],
        labelled: bool,
        is_file: Callable[[str], bool],
    ) -> None:
        self.source, self.header, self.labelled = source, header, labelled
        self.rows = [row for row in rows if len(row) >= len(header)]
        self.is_file = is_file
        self.notes: list[str] = []
        self.free = {place for place, name in enumerate(header) if not is_index_name(name)}

    def find(self) -> Columns:
        self._check_names()
        path = self._find_path()
        label = self._take("label")
        sha256 = self._take("sha256")
        split = self._find_split()
        flags = self._find_flags() if split is None else ()
        strict = self._take("group")
        group = strict if strict is not None else self._take("person")
        one_hot: tuple[tuple[int, str], ...] = ()
        if label is None and self.labelled:
            label, one_hot = self._find_unnamed_label()
        self._tell_the_rest(split, flags, group)
        return Columns(
            len(self.header),
            path,
            label,
            one_hot,
            split,
            flags,
            group,
            strict is not None,
            sha256,
            optional=frozenset(i for i, name in enumerate(self.header) if is_index_name(name)),
            notes=tuple(self.notes),
        )

    def values(self, place: int) -> list[str]:
        return [row[place].strip() for row in self.rows]

    def _check_names(self) -> None:
        form = _FORM if self.labelled else _FORM_UNLABELLED
        counts = Counter(name.lower() for name in self.header)
        for name in self.header:
            if len(name) > _LONGEST_NAME:
                raise DataError(
                    f"{self.source}: column '{shorten(name)}' is not one of the names of a "
                    f"header; the first line must read {form}"
                )
            if name and counts[name.lower()] > 1:
                raise DataError(
                    f"{self.source}: column '{name.lower()}' comes twice in the header; the first "
                    f"line must read {form}"
                )

    def _ranked(self, role: Role) -> list[int]:
        ranks = {place: rank_name(role, self.header[place]) for place in self.free}
        named = {place: rank for place, rank in ranks.items() if rank is not None}
        return sorted(named, key=lambda place: named[place])

    def _take(self, role: Role) -> int | None:
        found = self._ranked(role)
        if not found:
            return None
        self.free.discard(found[0])
        return found[0]

    def _find_path(self) -> int:
        """The best name whose first text is a file; `id` beside `image` may be a number."""
        named = self._ranked("path")
        there = [i for i in named if self.rows and any(map(self.is_file, self.values(i)[:3]))]
        if not named:
            there = [i for i in sorted(self.free) if any(map(self.is_file, self.values(i)[:3]))]
        if not (there or named) or (len(there) > 1 and not named):
            raise DataError(
                f"{self.source}: no column 'path'{self._columns()}; the first line must read "
                f"{_FORM if self.labelled else _FORM_UNLABELLED}"
            )
        place = (there or named)[0]
        if self.header[place].lower() != "path":
            self.notes.append(f"The images are those of the column '{self._name(place)}'.")
        self.free.discard(place)
        return place

    def _find_split(self) -> int | None:
        for place in self._ranked("split"):
            rank = rank_name("split", self.header[place]) or 0
            values = {text for text in self.values(place) if text}
            if rank >= _CERTAIN_SPLITS and not any(map(split_kind, values)):
                self._refuse_folds(place, values)
                continue
            self.free.discard(place)
            return place
        return None

    def _refuse_folds(self, place: int, values: set[str]) -> None:
        numbers = values and all(re.fullmatch(r"-?\d+(\.0)?", text) for text in values)
        if numbers and "fold" in self.header[place].lower():
            raise DataError(
                f"{self.source}: the column '{self._name(place)}' numbers folds and does not say "
                "which of them evaluates; give a column 'split' with train and val, or take the "
                "column out to split here by seed"
            )

    def _find_flags(self) -> tuple[tuple[int, Role], ...]:
        found: list[tuple[int, Role]] = []
        roles: tuple[Role, ...] = ("valid", "test", "train")
        for role in roles:
            for place in self._ranked(role):
                if all(text.lower() in TRUTHS for text in self.values(place)):
                    found.append((place, role))
                    self.free.discard(place)
        return tuple(found)

    def _find_unnamed_label(self) -> tuple[int | None, tuple[tuple[int, str], ...]]:
        rest = sorted(self.free)
        hot = [i for i in rest if self.rows and set(self.values(i)) <= {"0", "1", "0.0", "1.0"}]
        if len(hot) >= 2:
            self.free -= set(hot)
            return None, tuple((place, self.header[place]) for place in hot)
        if len(rest) == 1 and len(self.header) - len(self._index_places()) <= 3:
            self.notes.append(f"The labels are those of the column '{self._name(rest[0])}'.")
            self.free.discard(rest[0])
            return rest[0], ()
        raise DataError(
            f"{self.source}: no column 'label'{self._columns()}; the first line must read {_FORM}, "
            "so call the column with the classes 'label'"
        )

    def _index_places(self) -> list[int]:
        return [place for place, name in enumerate(self.header) if is_index_name(name)]

    def _tell_the_rest(
        self, split: int | None, flags: tuple[tuple[int, Role], ...], group: int | None
    ) -> None:
        missing = [] if split is not None or flags else ["split"]
        missing += [] if group is not None else ["group"]
        for place in sorted(self.free):
            name = self.header[place]
            near = difflib.get_close_matches(name.lower(), missing, n=1, cutoff=0.75)
            if near:
                raise DataError(
                    f"{self.source}: column '{self._name(place)}' is not one of {_FORM}; did you "
                    f"mean '{near[0]}'?"
                )
        unused = [self._name(place) for place in sorted(self.free)]
        if unused and not (len(unused) == 1 and not unused[0]):
            self.notes.append(f"Columns that are not read: {_show(unused)}.")

    def _name(self, place: int) -> str:
        return shorten(self.header[place], 60)

    def _columns(self) -> str:
        names = [shorten(name, 60) for name in self.header if name]
        return f" among {_show(names)}" if names else ""


def _has_no_header(
    header: list[str], rows: list[list[str]], is_file: Callable[[str], bool]
) -> bool:
    if any(rank_name("path", name) is not None for name in header):
        return False
    named = any(rank_name("label", name) is not None for name in header)
    return not named and any(is_image_name(name) or is_file(name) for name in header)


def _guess_columns(
    source: str, rows: list[list[str]], labelled: bool, is_file: Callable[[str], bool]
) -> Columns:
    """Find the columns of a file without a header: images, labels, and perhaps sides."""
    width = len(rows[0])
    texts = {place: [row[place] for row in rows if len(row) == width] for place in range(width)}
    paths = [i for i, column in texts.items() if is_image_name(column[0]) or is_file(column[0])]
    numbers = [i for i, c in texts.items() if i not in paths and _is_running(c)]
    rest = [i for i in texts if i not in paths and i not in numbers and any(texts[i])]
    splits = [i for i in rest if all(split_kind(text.strip()) for text in texts[i])]
    labels = [i for i in rest if i not in splits]
    if labelled and not labels and len(numbers) == 1:  # 0, 1, 2, … may be labels of a few rows
        labels, numbers = numbers, []
    if len(paths) != 1 or len(splits) > 1 or (len(labels) != 1 and labelled):
        raise DataError(
            f"{source}: no column 'path', and no header at all; write one of {_FORM} above the "
            f"{width} columns"
        )
    label = labels[0] if len(labels) == 1 else None
    said = ["images" if i == paths[0] else "labels" if i == label else "split" if i in splits
            else "not read" for i in range(width)]  # fmt: skip
    return Columns(
        width,
        paths[0],
        label,
        split=splits[0] if splits else None,
        header=False,
        notes=(f"No header; its columns are taken as: {', '.join(said)}.",),
    )


def _is_running(column: list[str]) -> bool:
    """0, 1, 2, … or 1, 2, 3, …: pandas' numbers of the rows."""
    numbers = [int(text) for text in column if re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII)]
    ours = len(numbers) == len(column) and len(numbers) > 2 and numbers[0] in (0, 1)
    return ours and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _show(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown

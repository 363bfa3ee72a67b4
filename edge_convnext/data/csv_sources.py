"""CSV sources: `path,label[,split][,group]` as people have them, and `path,sha256` of a build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edge_convnext.core.class_names import composed
from edge_convnext.core.errors import DataError, shorten
from edge_convnext.core.origins import Fact, Origin
from edge_convnext.data.csv_columns import TRUTHS, Columns, find_columns
from edge_convnext.data.csv_files import FileFinder
from edge_convnext.data.csv_labels import require_one_class
from edge_convnext.data.csv_text import Dialect, read_rows, sniff_dialect
from edge_convnext.data.sources import Entry, Listing
from edge_convnext.data.split_names import Side, choose_sides, split_kind

__all__ = ["list_csv"]

Row = tuple[int, list[str]]  # line number, one text for each column
_MOST_SPLITS = 64
_MISSING = frozenset(("nan", "NaN", "<NA>", "#N/A"))  # pandas' and spreadsheets' empty fields
_DELIMITER_NAMES = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}


def list_csv(source: Path, labelled: bool = True, data_root: Path | None = None) -> Listing:
    """List the images a CSV names.

    Args:
        source: CSV in UTF-8 or UTF-16; its paths are relative to it, or absolute.
        labelled: True where every row needs a label.
        data_root: Folder where relative paths are looked for when nothing lies beside the CSV.

    Raises:
        DataError: The CSV can't be used; the message has the line number.
    """
    roots = (source.parent, data_root) if data_root else (source.parent,)
    finder = FileFinder(roots)
    dialect = sniff_dialect(source)
    if not dialect.sample and next(read_rows(source, dialect), None) is None:
        rest = " but for comments and blank lines" if dialect.skipped else ""
        raise DataError(
            f"{source}: is empty{rest}; its first line must read path,label[,split][,group], and "
            "each further one is an image"
        )
    columns = find_columns(str(source), dialect.sample, labelled, finder.is_file)
    finder.guesses.clear()
    sides, split_by = _read_sides(source, dialect, columns)
    entries: dict[str, Entry] = {}
    unused = Counter[str]()
    for line, row in _read_rows(source, dialect, columns):
        where = f"{source} line {line}"
        said = _split_of(row, columns)
        if sides and said not in sides:
            unused[said] += 1  # a test split beside a validation split
            continue
        label = _label_of(row, columns, where) if labelled or columns.label is not None else None
        if labelled and not label:
            raise DataError(f"{where}: no label")
        name = row[columns.path]
        path = finder.find(name, where)
        if earlier := entries.get(str(path)):
            raise DataError(
                f"{where}: names the same image as {earlier.where}: {shorten(name)}; one row an "
                f"image is needed{_boxes(dialect)}"
            )
        entries[str(path)] = Entry(
            path=path,
            label=label or None,
            side=sides.get(said) if sides else None,
            group=_text(row, columns.group) or None,
            sha256=_text(row, columns.sha256).lower() or None,
            where=where,
        )
    if labelled and not columns.one_hot:
        require_one_class(entries.values())
    return Listing(
        source,
        tuple(entries.values()),
        split_by,
        numbered=not columns.one_hot,
        order=tuple(composed(name) for _, name in columns.one_hot),
        notes=(*_tell(source, dialect, columns, finder), *_tell_unused(unused)),
        facts=(Fact("split", split_by, Origin("csv", split_by)),) if split_by else (),
        strict_groups=columns.strict_group,
    )


def _read_rows(source: Path, dialect: Dialect, columns: Columns) -> Iterator[Row]:
    """Read row by row, so that memory is bounded by the images that exist, not by the lines."""
    rows = read_rows(source, dialect)
    if columns.header:
        next(rows, None)
    for line, fields in rows:
        if len(fields) != columns.width:
            fields = _fit(f"{source} line {line}", fields, columns)
        yield line, fields


def _fit(where: str, fields: list[str], columns: Columns) -> list[str]:
    """Fit a row that has one comma too many, or lacks the columns without a name."""
    extra = fields[columns.width :]
    missing = range(len(fields), columns.width)
    if any(text.strip() for text in extra) or any(i not in columns.optional for i in missing):
        raise DataError(
            f"{where}: {len(fields)} fields under {columns.width} columns; quote a field that "
            "holds a comma"
        )
    return [*fields[: columns.width], *("" for _ in missing)]


def _text(row: list[str], place: int | None) -> str:
    return row[place].strip() if place is not None else ""


def _label_of(row: list[str], columns: Columns, where: str) -> str:
    if not columns.one_hot:
        text = _text(row, columns.label)
        return "" if text in _MISSING else composed(text)
    hot = [name for place, name in columns.one_hot if row[place].strip() in ("1", "1.0")]
    cold = [place for place, _ in columns.one_hot if row[place].strip() in ("0", "0.0", "")]
    if len(hot) != 1 or len(cold) != len(columns.one_hot) - 1:
        found = ", ".join(shorten(name, 60) for name in hot[:5]) or "none"
        raise DataError(
            f"{where}: {len(hot)} of the {len(columns.one_hot)} class columns are 1 ({found}); an "
            "image needs one class: leave such images out, or write a column 'label'"
        )
    return composed(hot[0])


def _split_of(row: list[str], columns: Columns) -> str:
    """Read a row's side: its word, or `train`, `val`, `test` by its flags."""
    if columns.split is not None:
        return row[columns.split].strip()
    for place, role in columns.flags:
        truth = TRUTHS.get(row[place].strip().lower())
        if truth is None:
            return f"{shorten(row[place], 60)}"
        if truth and role != "train":
            return "val" if role == "valid" else "test"
        if role == "train" and not truth:
            return "val"
    return "train" if columns.flags else ""


def _read_sides(
    source: Path, dialect: Dialect, columns: Columns
) -> tuple[dict[str, Side], str | None]:
    if columns.split is None and not columns.flags:
        return {}, None
    first_line: dict[str, int] = {}  # of each split's name
    for line, row in _read_rows(source, dialect, columns):
        name = _split_of(row, columns)
        if name not in first_line and len(first_line) == _MOST_SPLITS:
            break  # no splits; the first of them that is none is named
        first_line.setdefault(name, line)
    sides = choose_sides(first_line)
    for name, line in first_line.items():
        if name and split_kind(name) is None and name not in sides:
            raise DataError(
                f"{source} line {line}: split '{shorten(name)}' is not train, val or test"
            )
    empty = first_line.pop("", None)
    if not first_line:
        return {}, None
    if empty is not None:
        raise DataError(
            f"{source} line {empty}: no split, though other rows have one; "
            "fill the column or leave it out"
        )
    found = sorted(first_line)
    unused = [name for name in found if name not in sides]
    text = f"by the split column of {source.name}"
    if columns.flags:
        header = dialect.sample[0][1]
        names = ", ".join(shorten(header[place].strip(), 60) for place, _ in columns.flags)
        text = f"by {names} of {source.name}"
    return sides, f"{text}; not used: {', '.join(unused)}" if unused else text


def _tell_unused(unused: Counter[str]) -> Iterator[str]:
    for name, count in unused.items():
        yield (
            f"The split '{shorten(name, 60)}' is not used: its {count} images neither train nor "
            "evaluate."
        )


def _tell(source: Path, dialect: Dialect, columns: Columns, finder: FileFinder) -> list[str]:
    notes = list(columns.notes)
    if dialect.delimiter != ",":
        notes.append(f"{source.name} is separated by {_DELIMITER_NAMES[dialect.delimiter]}.")
    if dialect.encoding.startswith(("utf-16", "utf-32")):
        notes.append(f"{source.name} is {dialect.encoding[:6].upper()}.")
    if dialect.skipped:
        notes.append(f"Lines skipped above the first row of {source.name}: {dialect.skipped}.")
    for guess, count in finder.guesses.items():
        notes.append(f"{count} images were found {guess} (below {finder.roots[0]}).")
    if columns.one_hot:
        notes.append(f"The classes are the {len(columns.one_hot)} columns of 0 and 1.")
    if columns.group is not None and not columns.strict_group:
        name = shorten(dialect.sample[0][1][columns.group].strip(), 60)
        notes.append(f"Images of the same '{name}' are kept on one side.")
    return notes


def _boxes(dialect: Dialect) -> str:
    """Explain why an image occurs twice, where the header shows it."""
    names = {name.strip().lower() for name in dialect.sample[0][1]}
    if names & {"xmin", "x_min", "bbox", "x1", "region_id", "bbox_x"}:
        return ", and these seem to be boxes of a detection data set"
    return ""

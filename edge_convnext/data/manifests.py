"""CSV sources: `path,label[,split][,group]`, and `path,sha256` as a build records it."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from edge_convnext.data.sources import Entry, Listing, is_plain_text
from edge_convnext.data.split_names import Side, choose_sides
from edge_convnext.errors import DataError, shorten

__all__ = ["list_csv"]

_COLUMNS = ("path", "label", "split", "group", "sha256")

Row = tuple[int, dict[str, str]]  # line number, column to text


def list_csv(source: Path, labelled: bool = True, data_root: Path | None = None) -> Listing:
    """List the images a CSV names.

    Args:
        source: UTF-8 with a header; paths relative to it, or absolute.
        labelled: Whether every row needs a label.
        data_root: Where a relative path is looked for when nothing lies beside the CSV.

    Raises:
        DataError: One line with the CSV's line number.
    """
    sides, split_by = _read_sides(source, labelled)
    roots = (source.parent, data_root) if data_root else (source.parent,)
    entries: dict[str, Entry] = {}
    for line, row in _read_rows(source, labelled):
        where = f"{source} line {line}"
        if sides and row["split"] not in sides:
            continue  # a test split beside a validation split
        if labelled and not row["label"]:
            raise DataError(f"{where}: no label")
        path = _find_image(row["path"], roots, where)
        if earlier := entries.get(str(path)):
            raise DataError(f"{where}: names the same image as {earlier.where}: {row['path']}")
        entries[str(path)] = Entry(
            path=path,
            label=row.get("label") or None,
            side=sides.get(row["split"]) if sides else None,
            group=row.get("group") or None,
            sha256=row.get("sha256", "").lower() or None,
            where=where,
        )
    return Listing(source, tuple(entries.values()), split_by, numbered=True)


def _read_rows(source: Path, labelled: bool) -> Iterator[Row]:
    """Row by row: what is kept of a file is bounded by the images that there are, not its lines."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a BOM
            reader = csv.reader(file, strict=True)
            header = _read_header(source, next(reader, []), labelled)
            for fields in reader:
                if not fields:
                    continue
                if len(fields) != len(header):
                    raise DataError(
                        f"{source} line {reader.line_num}: {len(fields)} fields under "
                        f"{len(header)} columns; quote a field that holds a comma"
                    )
                row = dict(zip(header, fields, strict=True))
                # A file name may end in a space; elsewhere one is a slip.
                row |= {name: text.strip() for name, text in row.items() if name != "path"}
                yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not UTF-8 text; save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise DataError(f"{source} line {reader.line_num}: not CSV ({error})") from error
    except OSError as error:
        raise DataError(f"{source}: can't be read ({error.strerror})") from error


def _read_header(source: Path, fields: list[str], labelled: bool) -> list[str]:
    header = [field.strip().lower() for field in fields]
    needed = ("path", "label") if labelled else ("path",)
    form = "path,label[,split][,group]" if labelled else "path[,label][,split][,group][,sha256]"
    wrong = [name for name in header if name not in _COLUMNS or header.count(name) > 1]
    missing = [name for name in needed if name not in header]
    if missing or wrong:
        found = shorten(wrong[0]) if wrong else ""
        fault = f"no column '{missing[0]}'" if missing else f"column '{found}' is not one of"
        if not missing and wrong[0] in _COLUMNS:
            fault = f"column '{wrong[0]}' comes twice in"
        raise DataError(f"{source}: {fault}; the first line must read {form}")
    return header


def _read_sides(source: Path, labelled: bool) -> tuple[dict[str, Side], str | None]:
    first_line: dict[str, int] = {}  # of each split's name
    for line, row in _read_rows(source, labelled):
        name = row.get("split", "")
        if name not in first_line and name and not choose_sides([name]):
            raise DataError(
                f"{source} line {line}: split '{shorten(name)}' is not train, val or test"
            )
        first_line.setdefault(name, line)
    empty = first_line.pop("", None)
    if not first_line:
        return {}, None
    if empty is not None:
        raise DataError(
            f"{source} line {empty}: no split, though other rows have one; "
            "fill the column or leave it out"
        )
    found = sorted(first_line)
    sides = choose_sides(found)
    unused = [name for name in found if name not in sides]
    text = f"by the split column of {source.name}"
    return sides, f"{text}; not used: {', '.join(unused)}" if unused else text


def _find_image(name: str, roots: tuple[Path, ...], where: str) -> Path:
    if not name:
        raise DataError(f"{where}: no path")
    if not is_plain_text(name):
        raise DataError(f"{where}: the path {shorten(repr(name))} is not plain text")
    for root in roots:
        path = Path(os.path.normpath(root / name))
        try:
            if path.is_file():
                return path
        except OSError as error:  # a name that no file can have, such as one that is too long
            raise DataError(f"{where}: {error.strerror}: {shorten(name)}") from error
    hint = f"paths are relative to {roots[0]}" if not Path(name).is_absolute() else "absolute path"
    raise DataError(f"{where}: no such file: {shorten(name)} ({hint})")

"""Rows of a table as people save them: `,` `;` tab `|`, with BOM, as UTF-16, under comments."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from edge_convnext.core.bounded import require_regular
from edge_convnext.core.errors import DataError, shorten
from edge_convnext.data.csv_names import is_path_name
from edge_convnext.data.formats import is_image_name

__all__ = ["Dialect", "read_rows", "sniff_dialect"]

Fields = tuple[int, list[str]]  # line number, texts

_DELIMITERS = (",", ";", "\t", "|", " ")
_LONGEST_CHARS = 1 << 20  # of a line
_SAMPLE_ROWS = 100


@dataclass(frozen=True)
class Dialect:
    """How a file separates, and where its rows begin."""

    encoding: str
    delimiter: str
    skipped: int  # lines above the first row: comments, `sep=;`, empty ones
    sample: tuple[Fields, ...]  # the first rows, the header among them
    quote: str = '"'


def sniff_dialect(source: Path) -> Dialect:
    """Look at the first rows of a file.

    Raises:
        DataError: Unreadable, no regular file, not text.
    """
    try:
        require_regular(source)
        encoding = _find_encoding(source)
        lines, skipped = _read_sample(source, encoding)
    except OSError as error:
        raise DataError(_unreadable(source, error)) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not UTF-8 text; save it as 'CSV UTF-8'") from error
    delimiter = _choose_delimiter(lines)
    quote = _choose_quote(lines, delimiter)
    sample = tuple(_parse(lines, delimiter, skipped, quote))
    return Dialect(encoding, delimiter, skipped, sample, quote)


def read_rows(source: Path, dialect: Dialect) -> Iterator[Fields]:
    """Read row by row, so that memory is bounded by the longest line.

    Raises:
        DataError: Not a CSV; the message has the line number.
    """
    try:
        with source.open(encoding=dialect.encoding, newline="") as file:
            lines = _read_lines(source, file)
            for _ in range(dialect.skipped):
                next(lines, None)
            reader = csv.reader(
                lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True
            )
            for fields in reader:
                if any(map(str.strip, fields)):  # spreadsheets leave rows of commas behind
                    yield dialect.skipped + reader.line_num, fields
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not UTF-8 text; save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        line = dialect.skipped + reader.line_num
        raise DataError(
            f"{source} line {line}: not CSV ({error}); correct the line, or save it as CSV again"
        ) from error
    except OSError as error:
        raise DataError(_unreadable(source, error)) from error


def _unreadable(source: Path, error: OSError) -> str:
    return f"{source}: can't be read ({error.strerror}); check the file and its permissions"


def _find_encoding(source: Path) -> str:
    with source.open("rb") as file:
        start = file.read(4)
    if start in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if len(start) == 4 and start[1::2] == b"\0\0":  # Excel's "Unicode text", its mark cut off
        return "utf-16-le"
    if len(start) == 4 and start[::2] == b"\0\0":
        return "utf-16-be"
    return "utf-8-sig"  # spreadsheets write a BOM


def _read_sample(source: Path, encoding: str) -> tuple[list[str], int]:
    """Read the first lines from the header on, and count the lines above it."""
    kept: list[str] = []
    skipped = chars = 0
    with source.open(encoding=encoding, newline="") as file:
        for line in _read_lines(source, file):
            if not kept and _is_above(line):
                skipped += 1
                continue
            kept.append(line)
            chars += len(line)
            if len(kept) == _SAMPLE_ROWS or chars > _LONGEST_CHARS:
                break
    return kept, skipped


def _is_above(line: str) -> bool:
    text = line.strip()
    return not text or text.startswith("#") or text.lower().startswith("sep=")


def _read_lines(source: Path, file: TextIO) -> Iterator[str]:
    number = 0
    while line := file.readline(_LONGEST_CHARS + 1):
        number += 1
        if len(line) > _LONGEST_CHARS:
            start = shorten(line, 40)
            raise DataError(
                f"{source} line {number}: over {_LONGEST_CHARS} characters: {start}; "
                "save it as CSV, one image a line"
            )
        yield line


def _choose_delimiter(lines: list[str]) -> str:
    """Choose the one under which the header names images, else the one that fits the rows."""
    widths: dict[str, int] = {}
    for delimiter in _DELIMITERS:
        rows = [fields for _, fields in _parse(lines, delimiter, 0)]
        if not rows:
            continue
        if len(rows[0]) > 1 and any(map(is_path_name, rows[0])) and delimiter != " ":
            return delimiter
        fits = len({len(row) for row in rows}) == 1
        if fits and (delimiter != " " or is_image_name(rows[0][0])):
            widths[delimiter] = len(rows[0])
    best = max(widths, key=widths.__getitem__, default=",")
    return best if widths.get(best, 1) > 1 else ","


def _choose_quote(lines: list[str], delimiter: str) -> str:
    """The single quote where every text of the first two rows is in it."""
    rows = [line.strip().split(delimiter) for line in lines[:2]]
    texts = [text.strip() for row in rows for text in row]
    single = texts and all(re.fullmatch(r"'[^']*'", text) for text in texts)
    return "'" if single else '"'


def _parse(lines: list[str], delimiter: str, skipped: int, quote: str = '"') -> Iterator[Fields]:
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote)
    try:
        for fields in reader:
            if any(map(str.strip, fields)):
                yield skipped + reader.line_num, fields
    except csv.Error:  # reported with its line when the rows are read
        return

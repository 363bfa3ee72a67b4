"""What a page is made of: sections, tables, pictures. No part knows markup."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from edge_convnext.core.errors import shorten
from edge_convnext.core.text import spreadsheet_cell

__all__ = [
    "NOT_RECORDED",
    "Anchor",
    "Block",
    "Bullets",
    "Figure",
    "Limits",
    "Picture",
    "Section",
    "Shape",
    "Table",
    "Thumbnails",
    "Uri",
    "Words",
    "make_table",
]

Anchor: TypeAlias = Literal["start", "middle", "end"]

NOT_RECORDED = "not recorded"


class Uri(str):
    """Data that a page carries, which is shown to nobody and never cut."""


@dataclass(frozen=True)
class Limits:
    """How much of a long report a page shows; `report.json` has all of it."""

    rows: int = 400  # of a table
    chars: int = 300  # of a cell or sentence
    lines: int = 400  # of a list or of the recipe


@dataclass(frozen=True)
class Shape:
    """One mark of a picture: x in per cent of its width, y in pixels."""

    kind: Literal["line", "box", "dot", "text"]
    css: str
    x: float
    y: float
    x2: float = 0.0  # of a line; of a box its width
    y2: float = 0.0  # of a line; of a box its height; of a dot its radius
    text: str = ""  # of a text; of the others what a pointer is told
    anchor: Anchor = "start"


@dataclass(frozen=True)
class Picture:
    """A drawing as wide as the page, and what it shows in words."""

    anchor: str  # part of the ids of its title and description
    title: str
    description: str
    height: float  # pixels
    shapes: tuple[Shape, ...]
    legend: tuple[tuple[str, str], ...] = ()  # class of a mark, and what it stands for


@dataclass(frozen=True)
class Table:
    """Headings and rows of text; the first cell of a row names it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    csv: Uri  # a data: URI with all rows that are shown
    file: str  # name under which the CSV is saved
    folded: bool = False
    left_out: int = 0  # rows beyond the limit

    kind: Literal["table"] = "table"


@dataclass(frozen=True)
class Figure:
    """A picture with its data behind it."""

    picture: Picture
    table: Table

    kind: Literal["figure"] = "figure"


@dataclass(frozen=True)
class Words:
    """A paragraph; `css` says what it is (`lead`, `missing`, `warning`, or nothing special)."""

    text: str
    css: str = ""

    kind: Literal["words"] = "words"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences, or lines of preformatted text."""

    lines: tuple[str, ...]
    title: str = ""  # of one that is folded
    heading: str = ""  # of one that is not
    code: bool = False

    kind: Literal["bullets"] = "bullets"


@dataclass(frozen=True)
class Thumbnails:
    """Small pictures, each a data: URI with a caption and what kind it is."""

    title: str
    images: tuple[tuple[Uri, str, str], ...]

    kind: Literal["thumbnails"] = "thumbnails"


Block: TypeAlias = Figure | Table | Words | Bullets | Thumbnails


@dataclass(frozen=True)
class Section:
    """A part of the page with a stable anchor."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]
    source: str = "report.json"  # where its figures are from


def make_table(
    title: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    limits: Limits,
    *,
    folded: bool = True,
) -> Table:
    """A table, cut to the limits, with its CSV.

    Args:
        title: Caption; the name of the CSV is made from it.
        headings: Name of each column, with its unit.
        rows: Cells of each row.
        limits: Largest number of rows, and length of a cell.
        folded: True if only its caption is shown at first.
    """
    cells = [tuple(str(cell) for cell in row) for row in rows]
    shown = tuple(
        tuple(shorten(cell, limits.chars) for cell in row) for row in cells[: limits.rows]
    )
    name = "-".join(
        "".join(c if c.isalnum() and c.isascii() else " " for c in title.lower()).split()
    )
    return Table(
        title=title,
        headings=tuple(headings),
        rows=shown,
        csv=_as_csv(headings, shown),
        file=f"{name[:60] or 'table'}.csv",
        folded=folded,
        left_out=len(cells) - len(shown),
    )


def _as_csv(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Uri:
    """A data: URI; text that a spreadsheet would run as a formula stays text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows([[spreadsheet_cell(cell) for cell in row] for row in rows])
    content = base64.b64encode(text.getvalue().encode("utf-8", "replace")).decode("ascii")
    return Uri(f"data:text/csv;charset=utf-8;base64,{content}")

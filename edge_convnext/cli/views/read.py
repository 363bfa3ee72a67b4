"""The *what I read* block: every setting with its source, as plain text of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from edge_convnext.core.origins import Fact, OriginKind
from edge_convnext.core.text import printable
from edge_convnext.measure.settings import show_value

__all__ = ["READ_TITLE", "read_lines"]

READ_TITLE = "what I read"
_COLUMNS = 80
_NAME = 13
_VALUE = 28
_SOURCE = _COLUMNS - 2 - _NAME - 1 - _VALUE - 1

_TOLD_BY_DETAIL: tuple[OriginKind, ...] = ("flag", "labels file", "beside the weights")


def read_lines(
    settings: Sequence[Fact], notes: Iterable[str] = (), title: str = READ_TITLE
) -> Iterator[str]:
    """Yield the settings in columns, then the notes; long lines are wrapped."""
    yield title
    for one in settings:
        columns = (one.name, _NAME), (show_value(one), _VALUE), (_show_source(one), _SOURCE)
        for cells in zip_longest(*(_wrap(*column) for column in columns), fillvalue=""):
            padded = [cell.ljust(width) for cell, (_, width) in zip(cells, columns, strict=True)]
            yield f"  {' '.join(padded)}".rstrip()
    for note in notes:
        yield from textwrap.wrap(
            printable(note), _COLUMNS, initial_indent="  - ", subsequent_indent="    "
        )


def _show_source(setting: Fact) -> str:
    """The source of a setting, such as `config.json: id2label`; the kind only if it is needed."""
    kind, detail = setting.origin.kind, setting.origin.detail
    if not detail or str(setting.value).startswith(detail):  # the value says the detail already
        return kind
    return detail if kind in _TOLD_BY_DETAIL else str(setting.origin)


def _wrap(text: str, columns: int) -> list[str]:
    return textwrap.wrap(printable(text), columns, break_on_hyphens=False)

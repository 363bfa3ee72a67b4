"""The *what I read* block: every setting with who decided it, at 80 columns of plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from edge_convnext.origins import Fact
from edge_convnext.printable import printable
from edge_convnext.settle import show_value

__all__ = ["READ_TITLE", "read_lines"]

READ_TITLE = "what I read"
_COLUMNS = 80
_NAME = 13
_VALUE = 34
_SOURCE = _COLUMNS - 2 - _NAME - 1 - _VALUE - 1


def read_lines(
    settings: Sequence[Fact], notes: Iterable[str] = (), title: str = READ_TITLE
) -> Iterator[str]:
    """One line for each setting, then the notes, wrapped."""
    yield title
    for one in settings:
        name, value, source = one.name, show_value(one), str(one.origin)
        line = f"  {_fit(name, _NAME)} {_fit(value, _VALUE)} {_fit(source, _SOURCE)}"
        yield line.rstrip()
    for note in notes:
        yield from textwrap.wrap(
            printable(note), _COLUMNS, initial_indent="  - ", subsequent_indent="    "
        )


def _fit(text: str, columns: int) -> str:
    shown = printable(text)
    return shown.ljust(columns) if len(shown) <= columns else f"{shown[: columns - 3]}..."

"""The *what I read* block: every setting with who decided it, at 80 columns of plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

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
    """One line for each setting, then the notes, wrapped."""
    yield title
    for one in settings:
        name, value, source = one.name, show_value(one), _show_source(one)
        line = f"  {_fit(name, _NAME)} {_fit(value, _VALUE)} {_fit(source, _SOURCE)}"
        yield line.rstrip()
    for note in notes:
        yield from textwrap.wrap(
            printable(note), _COLUMNS, initial_indent="  - ", subsequent_indent="    "
        )


def _show_source(setting: Fact) -> str:
    """Such as `config.json: id2label`: where the detail tells enough, the kind is left out."""
    kind, detail = setting.origin.kind, setting.origin.detail
    if not detail or detail == setting.value:
        return kind
    return detail if kind in _TOLD_BY_DETAIL else str(setting.origin)


def _fit(text: str, columns: int) -> str:
    shown = printable(text)
    return shown.ljust(columns) if len(shown) <= columns else f"{shown[: columns - 3]}..."

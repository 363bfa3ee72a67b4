"""Pieces of Markdown: tables, lists and folded parts, with text from outside escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["bullets", "escape", "folded", "table"]


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are escaped, headings are not."""
    lines = [headings, ["---"] * len(headings)]
    escaped = [[escape(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (*lines, *escaped))


def bullets(sentences: Iterable[str]) -> str:
    """A list, one line each."""
    return "\n".join(f"- {escape(sentence)}" for sentence in sentences)


def folded(summary: str, *parts: str) -> list[str]:
    """Parts that are shown when their summary is clicked."""
    return [f"<details><summary>{escape(summary)}</summary>", *parts, "</details>"]


def escape(text: str) -> str:
    """Escape what Markdown or HTML would read in `text`."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#~&" else char for char in plain(text))

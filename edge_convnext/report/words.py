"""Cells and lines of a report: numbers with their digits, and text that steers no terminal."""

from __future__ import annotations

__all__ = ["MISSING", "count", "number", "plain"]

MISSING = "-"  # not measured


def plain(text: str) -> str:
    """One line without control characters, which would steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def number(value: float | None, digits: int) -> str:
    """Fixed decimals; `-` for None."""
    return MISSING if value is None else f"{value:.{digits}f}"


def count(number: int | None) -> str:
    """With thousands separators; `-` for None."""
    return MISSING if number is None else f"{number:,}"

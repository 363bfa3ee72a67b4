"""Text from outside (class names, paths) as a terminal and a log may show it."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["escape_markdown", "printable", "spreadsheet_cell", "without_commands"]

# GitHub's runner obeys its older commands anywhere in a line of a job's output, and its newer ones
# where a line begins with blanks and `::`, as a wrapped line may.
_RUNNER_COMMANDS = ("##[", "::")
_MARKDOWN = frozenset("\\`*_[]<>|#~&$")
_LINKED = re.compile("@|#|://|www(?=[.])", re.IGNORECASE)  # mentions, issues, addresses
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so
# A figure, or a figure with its interval. It begins with a sign, and is nothing that could be run.
_FIGURE = re.compile(r"[-+]\d[\d.,eE+ \[\]x%-]*( to -?\d[\d.,]*)?")
_NOTHING = "&#8203;"  # a zero-width space: GitHub links even escaped ones


def printable(text: str) -> str:
    r"""Escape what would move the cursor, start a line, reorder letters or be a runner's command.

    Args:
        text: Text of any origin.

    Returns:
        One line, in which `\x1b` and the like stand for such characters. However it is wrapped, no
        line of it begins with `::`.
    """
    shown = "".join(one if _shows(one) else _escape(one) for one in text)
    return without_commands(shown)


def without_commands(text: str) -> str:
    """Break up what GitHub's runner would obey in a job's output, however it is wrapped."""
    for command in _RUNNER_COMMANDS:
        text = text.replace(command, f"{command[:-1]}{_escape(command[-1])}")
    return text


def _shows(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"  # wide spaces


def _escape(character: str) -> str:
    number = ord(character)
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def escape_markdown(text: str) -> str:
    """Escape text so that Markdown shows it literally, and GitHub neither links nor notifies."""
    escaped = "".join(f"\\{one}" if one in _MARKDOWN else one for one in printable(text))
    return _LINKED.sub(lambda match: f"{match[0]}{_NOTHING}", escaped)


def spreadsheet_cell(text: str) -> str:
    """Text for a CSV: what a spreadsheet would run as a formula begins with `'`, and stays text."""
    if not text.startswith(_FORMULA) or text == "-" or _FIGURE.fullmatch(text):
        return text
    return f"'{text}"

"""The error for a model name that does not exist."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from edge_convnext.core.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


__all__ = ["unknown_model", "unknown_prefix"]

_SHOWN_CHARS = 80  # the most of an unknown name that a message shows


def unknown_model(
    name: str, known: Sequence[str], ways: Mapping[str, str] | None = None
) -> RecipeError:
    """Make the error for an unknown model name; it suggests the most similar known names.

    Args:
        name: Name as it was given.
        known: Names of models.
        ways: Text that says how models of an open family are named, by prefix.
    """
    shown = name[:_SHOWN_CHARS]
    spelled = re.sub(r"[\W_]+", "_", shown.lower())
    nearest = difflib.get_close_matches(spelled, known, n=3, cutoff=0.0)
    first, *others = dict.fromkeys(nearest)
    more = f" (or {', '.join(others)})" if others else ""
    prefixes = ", ".join(f"{prefix}:" for prefix in ways or ())
    further = f"; networks from elsewhere begin with {prefixes}" if prefixes else ""
    return RecipeError(
        f"unknown model '{shown}': did you mean '{first}'{more}? "
        f"`edge-convnext models` lists every name{further}"
    )


def unknown_prefix(name: str, prefix: str, ways: Mapping[str, str]) -> RecipeError:
    """Make the error for an unknown prefix; it suggests the most similar known one.

    Args:
        name: Name as it was given, with the prefix.
        prefix: Part before the colon.
        ways: Text that says how models of an open family are named, by prefix.
    """
    shown, rest = name[:_SHOWN_CHARS], name[len(prefix) + 1 :][:_SHOWN_CHARS]
    (nearest,) = difflib.get_close_matches(prefix.lower(), ways, n=1, cutoff=0.0)
    return RecipeError(
        f"unknown model '{shown}': no family of networks is called '{prefix[:_SHOWN_CHARS]}'; "
        f"did you mean '{nearest}:{rest}'? Known are {'; '.join(ways.values())}"
    )

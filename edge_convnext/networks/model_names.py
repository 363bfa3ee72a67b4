"""What a name that no model has is answered with."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from edge_convnext.core.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


__all__ = ["unknown_model", "unknown_prefix"]

_SHOWN_CHARS = 80  # of a name that is none, in a message


def unknown_model(
    name: str, known: Sequence[str], ways: Mapping[str, str] | None = None
) -> RecipeError:
    """The error of a name that no model has, with the nearest that one has.

    Args:
        name: As it was given.
        known: Names that models have.
        ways: By prefix, how models are named that no list has.
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
    """The error of a name whose prefix no family has, with the nearest that one has.

    Args:
        name: As it was given, with the prefix.
        prefix: What stands before its colon.
        ways: By prefix, how models of that family are named.
    """
    shown, rest = name[:_SHOWN_CHARS], name[len(prefix) + 1 :][:_SHOWN_CHARS]
    (nearest,) = difflib.get_close_matches(prefix.lower(), ways, n=1, cutoff=0.0)
    return RecipeError(
        f"unknown model '{shown}': no family of networks is called '{prefix[:_SHOWN_CHARS]}'; "
        f"did you mean '{nearest}:{rest}'? Known are {'; '.join(ways.values())}"
    )

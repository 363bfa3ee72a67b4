"""The error for a model name that does not exist."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from edge_convnext.core.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["unknown_model"]

_SHOWN_CHARS = 80  # the most of an unknown name that a message shows


def unknown_model(name: str, known: Sequence[str]) -> RecipeError:
    """Make the error for an unknown model name; it suggests the most similar known names."""
    shown = name[:_SHOWN_CHARS]
    spelled = re.sub(r"[\W_]+", "_", shown.lower())
    nearest = difflib.get_close_matches(spelled, known, n=3, cutoff=0.0)
    first, *others = dict.fromkeys(nearest)
    more = f" (or {', '.join(others)})" if others else ""
    return RecipeError(
        f"unknown model '{shown}': did you mean '{first}'{more}? "
        "`edge-convnext models` lists every name"
    )

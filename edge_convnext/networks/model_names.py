"""The error for a model name that does not exist."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from edge_convnext.core.errors import RecipeError
from edge_convnext.core.files import expand_home

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


__all__ = ["unknown_model", "unknown_prefix"]

_SHOWN_CHARS = 80  # the most of an unknown name that a message shows
_MOST_CHARS = 200  # of a path
_GRAPH = ".onnx"
_FILES = (_GRAPH, ".pth", ".pt", ".bin", ".ckpt", ".safetensors")
_ALIKE = 0.6  # `difflib`'s own: less alike is no slip of the keys


def unknown_model(
    name: str, known: Sequence[str], ways: Mapping[str, str] | None = None
) -> RecipeError:
    """Make the error for an unknown model name; it suggests the most similar known names.

    Args:
        name: Name as it was given.
        known: Names of models.
        ways: Text that says how models of an open family are named, by prefix.
    """
    if (told := _name_place(name)) is not None:
        return told
    shown = name[:_SHOWN_CHARS]
    spelled = re.sub(r"[\W_]+", "_", shown.lower())
    prefixes = ", ".join(f"{prefix}:" for prefix in _said_by_name(ways or {}))
    lists = "`edge-convnext models` lists every name"
    elsewhere = f"networks from elsewhere begin with {prefixes}"
    if prefixes and not difflib.get_close_matches(spelled, known, n=1, cutoff=_ALIKE):
        return RecipeError(f"unknown model '{shown}': {lists}; {elsewhere}")
    nearest = difflib.get_close_matches(spelled, known, n=3, cutoff=0.0)
    first, *others = dict.fromkeys(nearest)
    more = f" (or {', '.join(others)})" if others else ""
    further = f"; {elsewhere}" if prefixes else ""
    return RecipeError(f"unknown model '{shown}': did you mean '{first}'{more}? {lists}{further}")


def unknown_prefix(name: str, prefix: str, ways: Mapping[str, str]) -> RecipeError:
    """Make the error for an unknown prefix; it suggests the most similar known one.

    Args:
        name: Name as it was given, with the prefix.
        prefix: Part before the colon.
        ways: Text that says how models of an open family are named, by prefix.
    """
    if (told := _name_place(name)) is not None:
        return told
    shown, rest = name[:_SHOWN_CHARS], name[len(prefix) + 1 :][:_SHOWN_CHARS]
    known = _said_by_name(ways)
    nearest = difflib.get_close_matches(prefix.lower(), known, n=1, cutoff=_ALIKE)
    meant = f"; did you mean '{nearest[0]}:{rest}'?" if nearest else "."
    return RecipeError(
        f"unknown model '{shown}': no family of networks is called '{prefix[:_SHOWN_CHARS]}'"
        f"{meant} Known are {'; '.join(ways.values())}"
    )


def _said_by_name(ways: Mapping[str, str]) -> tuple[str, ...]:
    """Prefixes that a user writes; that of ONNX files is given by the file."""
    return tuple(prefix for prefix, how in ways.items() if how.startswith(f"{prefix}:"))


def _name_place(name: str) -> RecipeError | None:
    """The error for a file or folder in place of a name; None: it is neither."""
    shown, lower = name[:_MOST_CHARS], name.lower()
    if lower.endswith(_GRAPH):
        return RecipeError(
            f"'{shown}' is an ONNX file and not the name of a network: pass it as --weights "
            f"{shown}, without --model"
        )
    if _is_folder(name):
        return RecipeError(
            f"'{shown}' is a folder and not the name of a network: pass it as --weights {shown}, "
            "and as --model the network that it is of, where no config.json in it says so"
        )
    if not lower.endswith(_FILES):
        return None
    return RecipeError(
        f"'{shown}' is a file of weights and not the name of a network: pass it as --weights "
        f"{shown}, and as --model the network that it is of"
    )


def _is_folder(name: str) -> bool:
    try:
        return bool(name.strip()) and expand_home(name).is_dir()  # '' would be the current one
    except (OSError, ValueError):  # too long, or with a zero byte
        return False

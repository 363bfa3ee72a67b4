"""Names of tensors in messages; a missing one's as the file would have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edge_convnext.core.errors import shorten
from edge_convnext.networks.convnext.names import Network, rename

__all__ = ["SHOWN", "and_more", "name_in_file", "quote"]

SHOWN = 6  # the most names in a message

# The ends of names that come in pairs: of a layer of two tensors, one tells the other's name.
_PAIRS = {"weight": "bias", "bias": "weight", "gamma": "beta", "beta": "gamma"}


def name_in_file(ours: str, network: Network, theirs: Mapping[str, str]) -> str:
    """Find a missing tensor's name by those of its neighbours: its layer's, or another block's.

    Args:
        ours: Our name of it.
        network: Dialect and prefix of the file's names.
        theirs: The file's name for each of ours that is there.

    Returns:
        The file's name; our own where no neighbour is there.
    """
    dialect, prefix = network
    for near, name in theirs.items():
        for guess in _change(name.removeprefix(prefix), near, ours):
            if rename(guess, dialect) == ours:
                return prefix + guess
    return ours


def _change(name: str, near: str, wanted: str) -> Iterator[str]:
    """A neighbour's name in the file with the one step changed in which our two names differ."""
    steps, known = near.split("."), wanted.split(".")
    if len(steps) != len(known):
        return
    differ = [pair for pair in zip(steps, known, strict=True) if len(set(pair)) > 1]
    if len(differ) != 1:
        return
    old, new = differ[0]
    if not (old.isdecimal() and new.isdecimal()) and _PAIRS.get(old) != new:
        return  # of another layer, whose name tells nothing of this one's
    parts = name.split(".")
    for place, part in enumerate(parts):
        turned = new if part == old else None if old.isdecimal() else _PAIRS.get(part)
        if turned is not None:
            yield ".".join((*parts[:place], turned, *parts[place + 1 :]))


def quote(names: Sequence[str]) -> str:
    """The first names of a list."""
    return ", ".join(f"'{shorten(name, 80)}'" for name in names[:SHOWN])


def and_more(names: Sequence[str]) -> str:
    """Words on the names after the first."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""

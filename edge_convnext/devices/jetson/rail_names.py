"""Which power rails make the power of a board: `rails.yaml`, read into frozen rows."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from pydantic import Field, TypeAdapter

from edge_convnext.devices.catalog.rows import Family, Row, read_yaml

__all__ = ["Rails", "find_rails", "load_rails"]


class Rails(Row):
    """Rails whose sum is the power of the boards of some families."""

    families: tuple[Family, ...]  # none: boards that are not in the table
    rails: tuple[str, ...] = Field(min_length=1)
    scope: str  # what the sum includes, in words
    source: str
    unverified: bool = False


@lru_cache(maxsize=1)
def load_rails() -> tuple[Rails, ...]:
    """The shipped rows, in their order."""
    return TypeAdapter(tuple[Rails, ...]).validate_python(read_yaml("rails"))


def find_rails(family: Family | None, names: Collection[str]) -> Rails | None:
    """The row for a board with the rails `names`; None where there is none.

    Args:
        family: Family of the board; None where it is not known.
        names: Rails that were found on it.
    """
    for row in load_rails():
        fits = family in row.families if family and row.families else not row.families
        if fits and set(row.rails) <= set(names):
            return row
    return None

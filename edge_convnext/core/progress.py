"""How stages report progress, without knowing who shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

__all__ = ["Track", "tell", "untracked"]

T = TypeVar("T")


class Track(Protocol):
    """Wrap an iterable so that its progress can be shown.

    The command line passes `rich.progress`; everything else uses `untracked`.
    """

    def __call__(self, items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
        """Yield `items` unchanged; `what` names the work, `total` its length if known."""
        ...


def untracked(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """Show nothing."""
    return items


def tell(track: Track, text: str) -> None:
    """Show one line at once, where progress is shown."""
    for _ in track((None,), text, 1):
        pass

"""The classes and images that flipped, as lines for stdout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_convnext.core.text import printable

if TYPE_CHECKING:
    from edge_convnext.report.gate.explain import Explanation, Flip

__all__ = ["flip_lines"]

_SHOWN_FLIPS = 20


def flip_lines(found: Explanation) -> Iterator[str]:
    """Yield one line for each class and each image, the worst first."""
    if not found.flips:
        yield f"\nNo image flipped against {found.against}."
        return
    yield f"\n{len(found.flips)} images flipped against {found.against}; by class, worst first:"
    for one in found.classes:
        yield (
            f"  {printable(one.label)}: {one.drop_pp:+.2f} pp drop, {one.lost} lost, "
            f"{one.won} won of {one.n}"
        )
    yield from map(_flip_line, found.flips[:_SHOWN_FLIPS])
    if (more := len(found.flips) - _SHOWN_FLIPS) > 0:
        yield f"  and {more} more; --json lists all"


def _flip_line(flip: Flip) -> str:
    what = "lost" if flip.lost else "won" if flip.now == flip.label else "other"
    label, before, now = map(printable, (flip.label, flip.before, flip.now))
    return (
        f"  {printable(flip.sha256[:16])} {what}: '{label}' was '{before}', "
        f"is '{now}' by {flip.margin:.2f}"
    )

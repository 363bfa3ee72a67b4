"""Drawings as numbers: scales, bars, intervals, strips. The templates make SVG of them.

Positions from left to right are per cent of the picture's width, so that it fits any screen while
letters keep their size. Positions from top to bottom are pixels.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_convnext.core.errors import shorten
from edge_convnext.report.html.parts import Anchor, Shape
from edge_convnext.report.words import plain

__all__ = [
    "ROW",
    "Bar",
    "Scale",
    "axis",
    "bars",
    "dot",
    "fitting",
    "interval",
    "label",
    "level",
    "make_scale",
    "tick",
    "upright",
]

_LEFT, _RIGHT = 4.0, 96.0  # per cent
_FEWEST_TICKS = 3
_LEAST_SPAN = 1e-300  # below, no step is a number
ROW = 40.0  # pixels of a bar with its label above it
_LINE = 282  # pixels between the borders of a picture on the narrowest screen, less a gap
_LEAST = 60  # pixels of a name


@dataclass(frozen=True)
class Scale:
    """From a value to per cent of the width; a logarithmic one is of positive values."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """The position of a value in per cent; one outside lies on the border."""
        return round(_LEFT + (_RIGHT - _LEFT) * self.share(value), 3)

    def share(self, value: float) -> float:
        """How far a value lies between both ends, 0 to 1."""
        low, high = self._of(self.low), self._of(self.high)
        span = high / 2 - low / 2  # halved: the difference of two large floats is not finite
        share = (self._of(value) / 2 - low / 2) / span if span > 0 else 0.5
        return min(1.0, max(0.0, share)) if math.isfinite(share) else 0.5

    def ticks(self) -> list[float]:
        """Round values along the scale, at most five."""
        if self.log:
            steps = [base * 10.0**power for power in range(-6, 10) for base in (1, 2, 5)]
            found = [one for one in steps if self.low <= one <= self.high]
            if len(found) >= _FEWEST_TICKS:
                return found[:: math.ceil(len(found) / 5)]
        span = self.high - self.low
        if not math.isfinite(span) or span < _LEAST_SPAN:
            return [self.low]
        step = 10.0 ** math.floor(math.log10(span / 2))
        step = next(step * one for one in (1, 2, 5, 10) if span / (step * one) <= _FEWEST_TICKS + 1)
        first = math.ceil(self.low / step)
        values = [(first + place) * step for place in range(_FEWEST_TICKS + 2)]
        return [one for one in values if one <= self.high]

    def _of(self, value: float) -> float:
        return math.log(max(value, 1e-12)) if self.log else value


def make_scale(values: Iterable[float], *, zero: bool = False, log: bool = False) -> Scale:
    """A scale over some values, a little wider.

    Args:
        values: Values that have to be on it; values that are not finite are passed over.
        zero: True if 0 has to be on it.
        log: True if factors are to be seen rather than differences; used where all are positive.
    """
    known = [one for one in values if math.isfinite(one)]
    known += [0.0] if zero or not known else []
    low, high = min(known), max(known)
    if log and low > 0:
        return Scale(low / 1.1, high * 1.1, log=True) if high < 1e300 else Scale(low, high, True)
    margin = (high / 2 - low / 2) * 0.1 or abs(high) * 0.1 or 1.0
    floor = low if zero and low == 0.0 else low - margin
    return Scale(max(floor, -1e308), min(high + margin, 1e308))


def axis(scale: Scale, y: float, top: float, unit: str) -> list[Shape]:
    """A line of ticks under a picture, with faint lines up to `top`."""
    shapes = [level(y, "axis")]
    for value in scale.ticks():
        x = scale.at(value)
        shapes.append(Shape("line", "grid", x, top, x, y))
        shapes.append(label(tick(value), x, y + 14, "tick", _anchor(x)))
    shapes.append(label(unit, 100.0, y + 29, "tick", "end"))
    return shapes


def tick(value: float) -> str:
    """A value at an axis: at most three digits that say something, large ones as people write."""
    return f"{value:,.0f}" if 100 <= abs(value) < 1e7 else f"{value:.3g}"


def label(text: str, x: float, y: float, css: str = "label", anchor: Anchor = "start") -> Shape:
    """Letters, from `x` on, around it, or up to it."""
    return Shape("text", css, x, y, text=text, anchor=anchor)


def dot(x: float, y: float, radius: float, css: str, text: str = "") -> Shape:
    """A round mark."""
    return Shape("dot", css, x, y, y2=radius, text=text)


def level(y: float, css: str, text: str = "") -> Shape:
    """A line from left to right."""
    return Shape("line", css, _LEFT, y, _RIGHT, y, text=text)


def upright(x: float, top: float, bottom: float, css: str, text: str = "") -> Shape:
    """A line from top to bottom."""
    return Shape("line", css, x, top, x, bottom, text=text)


def fitting(name: str, beside: str) -> str:
    """A name, its middle left out so that it fits on a telephone's line with another text."""
    name, room = plain(name), max(_LEAST, _LINE - sum(map(_pixels, beside)))
    if sum(map(_pixels, name)) <= room:
        return name
    half = (room - _pixels("…")) / 2
    return f"{_begin(name, half)}…{_begin(name[::-1], half)[::-1]}"


def _begin(text: str, room: float) -> str:
    for place, character in enumerate(text):
        room -= _pixels(character)
        if room < 0:
            return text[:place]
    return text


def _pixels(character: str) -> float:
    """About the width of a letter of 12 px, in a wide typeface."""
    if unicodedata.east_asian_width(character) in "WF":
        return 12.5
    if character in " .,:;'|ijlI!()[]ftr/":
        return 5.0
    return 11.9 if character in "mwMW@%…—" else 9.6 if character.isupper() else 7.8


def interval(
    scale: Scale, ends: Sequence[float], estimate: float | None, y: float, css: str, text: str
) -> list[Shape]:
    """An interval from left to right, its ends, and the estimate in it."""
    low, high = scale.at(ends[0]), scale.at(ends[1])
    shapes = [
        Shape("line", f"whisker {css}", low, y, high, y, text=text),
        upright(low, y - 5, y + 5, f"whisker {css}"),
        upright(high, y - 5, y + 5, f"whisker {css}"),
    ]
    return shapes if estimate is None else [*shapes, dot(scale.at(estimate), y, 5.5, css, text)]


@dataclass(frozen=True)
class Bar:
    """One row of a picture of bars."""

    name: str
    value: float
    shown: str  # the value with its unit
    css: str = "plain"
    ends: tuple[float, float] | None = None  # of its interval


def bars(rows: Sequence[Bar], scale: Scale, top: float = 0.0) -> list[Shape]:
    """Bars from zero, one below the other, each with its name above it and its value beside."""
    shapes = []
    zero = scale.at(0.0)
    for place, row in enumerate(rows):
        y = top + place * ROW
        x = scale.at(row.value)
        shapes.append(label(fitting(row.name, row.shown), _LEFT, y + 14))
        shapes.append(label(row.shown, _RIGHT, y + 14, "value", "end"))
        box = Shape("box", row.css, min(zero, x), y + 19, max(abs(x - zero), 0.3), 12)
        shapes.append(box)
        if row.ends is not None:
            said = f"{shorten(row.name)}: {row.shown}"
            shapes += interval(scale, row.ends, None, y + 25, row.css, said)
    return shapes


def _anchor(x: float) -> Anchor:
    if x < 12.0:
        return "start"
    return "end" if x > 88.0 else "middle"

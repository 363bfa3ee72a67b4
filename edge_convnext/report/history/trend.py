"""The trend as points of small pictures: one for each measure, a line for each kind of build."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from edge_convnext.core.text import printable
from edge_convnext.report.history.entries import Entry

__all__ = ["HEIGHT", "WIDTH", "Picture", "Point", "Series", "draw_trend"]

WIDTH, HEIGHT = 340, 150  # of a picture, in its own units
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 22  # room for figures
_MOST_SERIES = 6  # colours that can be told apart

_BUSY = ", timed on a busy machine"

_Value = Callable[[Entry], "float | None"]


@dataclass(frozen=True)
class Point:
    """One build in one picture."""

    x: float
    y: float
    y_low: float | None  # ends of its interval
    y_high: float | None
    text: str
    busy: bool  # a ratio that was timed on a busy machine


@dataclass(frozen=True)
class Series:
    """Builds that may be compared: one model, precision and, for ratios, machine."""

    name: str
    number: int  # of its colour
    points: tuple[Point, ...]

    @property
    def line(self) -> str:
        """The points as SVG writes them."""
        return " ".join(f"{one.x:.1f},{one.y:.1f}" for one in self.points)


@dataclass(frozen=True)
class Picture:
    """One measure over all dated builds."""

    title: str
    series: tuple[Series, ...]
    marks: tuple[tuple[float, str], ...]  # height and figure of the scale
    first: str  # dates at both ends
    last: str


_MEASURES: tuple[tuple[str, _Value, _Value | None, _Value | None, bool], ...] = (
    ("Top-1, %", lambda one: one.top1_pct, None, None, False),
    (
        "Drop against FP32, pp",
        lambda one: one.drop_pp,
        lambda one: one.drop_low_pp,
        lambda one: one.drop_high_pp,
        False,
    ),
    (
        "Latency over FP32's in the same run",
        lambda one: one.latency_ratio,
        lambda one: one.ratio_low,
        lambda one: one.ratio_high,
        True,
    ),
    ("Size, MB", lambda one: one.size_bytes / 1e6 if one.size_bytes else None, None, None, False),
)


def draw_trend(entries: Iterable[Entry]) -> tuple[Picture, ...]:
    """Place every dated build, one after the other; a measure that nobody has is left out."""
    dated = [one for one in entries if one.created is not None]
    names = list(dict.fromkeys(_kind(one) for one in dated))
    pictures = (_picture(dated, names, *measure) for measure in _MEASURES)
    return tuple(one for one in pictures if one is not None)


def _kind(entry: Entry) -> str:
    return f"{entry.model} {entry.precision} on {entry.machine[:8]}"


def _picture(
    dated: Sequence[Entry],
    names: Sequence[str],
    title: str,
    value: _Value,
    low: _Value | None,
    high: _Value | None,
    is_ratio: bool,
) -> Picture | None:
    shown = [one for one in dated if value(one) is not None]
    if not shown:
        return None
    levels = [level for one in shown for of in (value, low, high) if of for level in [of(one)]]
    known = [level for level in levels if level is not None]
    bottom, top = min(known), max(known)
    spare = (top - bottom) * 0.08 or max(abs(top) * 0.05, 0.05)
    bottom, top = bottom - spare, top + spare

    def height(level: float | None) -> float | None:
        if level is None:
            return None
        return _TOP + (top - level) / (top - bottom) * (HEIGHT - _TOP - _BOTTOM)

    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(dated) - 1)
    found = []
    for number, name in enumerate(names):
        points = [
            Point(
                _LEFT + step * place,
                height(value(one)) or 0.0,
                height(high(one)) if high else None,
                height(low(one)) if low else None,
                _words(one, value(one)) + (_BUSY if is_ratio and one.busy else ""),
                is_ratio and one.busy is not None,
            )
            for place, one in enumerate(dated)
            if _kind(one) == name and value(one) is not None
        ]
        if points:
            found.append(Series(printable(name), number % _MOST_SERIES, tuple(points)))
    marks = tuple((height(level) or 0.0, f"{level:.3g}") for level in (bottom + spare, top - spare))
    return Picture(title, tuple(found), marks, _day(dated[0]), _day(dated[-1]))


def _words(entry: Entry, value: float | None) -> str:
    label = f"{entry.label}, " if entry.label else ""
    return printable(f"{label}{_day(entry)}, {entry.path}: {value:.4g}")


def _day(entry: Entry) -> str:
    return entry.created.strftime("%Y-%m-%d") if entry.created else ""

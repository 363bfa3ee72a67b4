"""Render a report as one page that needs nothing else: text in, markup by templates out.

Everything from a report goes through jinja2's autoescape. No module of this package writes markup;
all of it is in `templates/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import reason_of, shorten
from edge_convnext.core.version import __version__
from edge_convnext.report.file_names import PREDICTIONS
from edge_convnext.report.html.chain import (
    chain_section,
    data_section,
    environment_section,
    recipe_section,
)
from edge_convnext.report.html.changes import read_changes
from edge_convnext.report.html.classes import classes_section
from edge_convnext.report.html.inside import gpu_section, quantization_section, time_section
from edge_convnext.report.html.kernels import read_engines
from edge_convnext.report.html.overview import overview_table
from edge_convnext.report.html.pareto import pareto_section
from edge_convnext.report.html.parts import Limits, Section, Words
from edge_convnext.report.html.speed import speed_section
from edge_convnext.report.html.verdict import verdict_section
from edge_convnext.report.page import make_environment
from edge_convnext.report.summary import made_line, plain, verdict_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_convnext.report.contract import Report
    from edge_convnext.report.html.changes import Change
    from edge_convnext.report.html.kernels import EngineKernels

__all__ = ["Subject", "require_renderer", "to_html"]

_MOST_BYTES = 1_000_000
_CHARS = 1200  # of any text
# A page that is too large shows less of its tables; `report.json` has them whole.
_LIMITS = (Limits(), Limits(120, 200, 200), Limits(40, 120, 60), Limits(10, 80, 15))


@dataclass(frozen=True)
class Subject:
    """A report to show, with what lies beside it."""

    report: Report
    changes: Sequence[Change] | None = None  # None: no predictions lie beside it
    images: Mapping[str, str] = field(default_factory=dict)  # data: URI by SHA-256
    engines: Sequence[EngineKernels] = ()

    @classmethod
    def of(cls, report: Report, folder: Path) -> Subject:
        """A report with the predictions and the engines' tables in its folder."""
        changes = read_changes(folder / PREDICTIONS)
        return cls(report, changes, engines=read_engines(report, folder))


@dataclass(frozen=True)
class _Part:
    """One report on the page."""

    prefix: str  # of its anchors
    name: str
    made: str
    line: str
    sections: tuple[Section, ...]


def to_html(subjects: Sequence[Subject]) -> str:
    """One page of one or several reports.

    Of a report with something that can't be drawn, that section says so, and the others are whole.

    Args:
        subjects: Reports, at least one.

    Returns:
        The page, at most 1 MB beside its thumbnails. Equal reports give equal pages.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    template = make_environment(_clean).get_template("html/templates/page.html.j2")
    beside = sum(len(uri) for one in subjects for uri in one.images.values())
    text = ""
    for limits in _LIMITS:
        parts = [_part(place, one, limits, len(subjects)) for place, one in enumerate(subjects, 1)]
        overview = overview_table([one.report for one in subjects], limits)
        text = template.render(
            parts=parts, overview=overview, version=__version__, title=_title(subjects)
        )
        if len(text.encode()) - beside <= _MOST_BYTES:
            break
    return text


def _title(subjects: Sequence[Subject]) -> str:
    if len(subjects) > 1:
        return f"{len(subjects)} reports"
    report = subjects[0].report
    return f"{shorten(report.model.name, 80)}: {verdict_line(report).removeprefix('Verdict: ')}"


def _part(place: int, subject: Subject, limits: Limits, count: int) -> _Part:
    report = subject.report
    makers: tuple[tuple[str, Callable[[Report, Limits], Section]], ...] = (
        ("verdict", verdict_section),
        ("pareto", pareto_section),
        ("accuracy", partial(_classes, subject)),
        ("speed", speed_section),
        ("time", time_section),
        ("quantization", quantization_section),
        ("gpu", partial(_gpu, subject)),
        ("chain", chain_section),
        ("data", data_section),
        ("environment", environment_section),
        ("recipe", recipe_section),
    )
    sections = tuple(_section(anchor, make, report, limits) for anchor, make in makers)
    where = f" ({report.board.name})" if report.board else ""
    return _Part(
        prefix=f"r{place}-" if count > 1 else "",
        name=f"{report.model.name}{where}"
        if count == 1
        else f"{place}: {report.model.name}{where}",
        made=made_line(report),
        line=verdict_line(report),
        sections=sections,
    )


def _classes(subject: Subject, report: Report, limits: Limits) -> Section:
    return classes_section(report, subject.changes, subject.images, limits)


def _gpu(subject: Subject, report: Report, limits: Limits) -> Section:
    return gpu_section(report, subject.engines, limits)


def _section(
    anchor: str, make: Callable[[Report, Limits], Section], report: Report, limits: Limits
) -> Section:
    """A section; where a report of whatever origin breaks it, what broke is told in its place."""
    try:
        return make(report, limits)
    except Exception as error:  # a page is no reason to lose a build of an hour
        told = f"This section could not be drawn ({reason_of(error)}); report.json has its figures."
        return Section(anchor, anchor.capitalize(), (Words(told, "missing"),))


def require_renderer() -> None:
    """Import what pages are made with.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    make_environment(_clean)


def _clean(value: Any) -> Any:
    """Take out control characters, which HTML may not have, and cut what is very long."""
    if type(value) is not str:  # markup of a template, or data
        return value
    return plain(value if len(value) <= _CHARS else f"{value[:_CHARS]}…")

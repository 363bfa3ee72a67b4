"""A comparison as JSON, Markdown and one HTML page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from edge_convnext.core.text import escape_markdown, printable
from edge_convnext.core.version import __version__
from edge_convnext.report.compare.compare import Comparison, PairComparison
from edge_convnext.report.compare.findings import OUTCOMES
from edge_convnext.report.compare.sections import Section, comparison_sections
from edge_convnext.report.compare.sides import Side
from edge_convnext.report.page import render_page

__all__ = ["to_html", "to_json", "to_markdown"]

_SCHEMA = "edge-convnext/comparison/1"


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Plain values of schema `edge-convnext/comparison/1`; the answers to images are left out."""
    return {
        "schema": _SCHEMA,
        "sides": [_side(one) for one in comparison.sides],
        "pairs": [_pair(one) for one in comparison.pairs],
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "called": side.called,
        "path": side.name,
        "kind": side.kind,
        "label": side.label,
        "created": side.created.isoformat() if side.created else None,
        "model": side.model,
        "precision": side.precision,
        "top1_pct": side.top1_pct,
        "fp32_top1_pct": side.fp32_top1_pct,
        "size_bytes": side.size_bytes,
        "fingerprint": side.speed.fingerprint,
        "images": len(side.answers),
        "notes": list(side.notes),
    }


def _pair(pair: PairComparison) -> dict[str, Any]:
    return {
        "before": pair.before.called,
        "now": pair.now.called,
        "headline": pair.headline,
        "counts": pair.counts,
        "class_counts": pair.class_counts,
        "findings": [asdict(one) for one in pair.findings],
        "changes": [asdict(one) for one in pair.changes],
        "graphs": pair.graphs,
        "classes": [asdict(one) for one in pair.classes],
        "timings": [{**asdict(one), "ratio": one.ratio} for one in pair.timings],
        "why_no_timings": pair.why_no_timings,
        "stages": [asdict(one) for one in pair.stages],
    }


def to_markdown(comparison: Comparison) -> str:
    """For a pull request's comment: the counts first, long tables folded."""
    lines = ["### edge-convnext compare", ""]
    for line in _leads(comparison):
        lines += [f"**{escape_markdown(line)}**", ""]
    for section in comparison_sections(comparison):
        lines += _markdown_section(section.short())
    return "\n".join(lines).rstrip() + "\n"


def _leads(comparison: Comparison) -> list[str]:
    """One line for each pair: counts, and the sentence that is read first."""
    return [printable(_lead(one)) for one in comparison.pairs]


def _lead(pair: PairComparison) -> str:
    counts = ", ".join(f"{pair.counts[one]} {one}" for one in OUTCOMES)
    return f"{pair.now.called} against {pair.before.called}: {counts}. {pair.headline}"


def _markdown_section(section: Section) -> Iterable[str]:
    title = escape_markdown(section.title)
    yield from (f"<details><summary>{title}</summary>" if section.folded else f"#### {title}", "")
    for sentence in section.sentences:
        yield from (escape_markdown(sentence), "")
    if section.rows:
        cells = [section.headings, ("---",) * len(section.headings)]
        escaped = (tuple(map(escape_markdown, row)) for row in section.rows)
        yield from (f"| {' | '.join(row)} |" for row in (*cells, *escaped))
        yield ""
    if section.folded:
        yield from ("</details>", "")


def to_html(comparison: Comparison) -> str:
    """One page that needs no other file; every row of every table is in it."""
    names = " and ".join(one.called for one in comparison.sides)
    return render_page(
        "compare/comparison.html",
        title=f"Comparison of {names}",
        leads=_leads(comparison),
        sections=comparison_sections(comparison),
        outcomes=OUTCOMES,
        version=__version__,
    )

"""A report in a notebook: a short HTML view, and its candidates as rows for a data frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from edge_convnext.core.text import printable
from edge_convnext.report.measured import (
    AccuracyReport,
    BenchmarkReport,
    CandidateAccuracy,
    CandidateReport,
)

__all__ = ["candidate_rows", "notebook_html"]

_SHOWN = (
    ("candidate", "artifact", "{}"),
    ("precision", "precision", "{}"),
    ("runtime", "runtime", "{}"),
    ("top-1 %", "top1_pct", "{:.2f}"),
    ("drop pp", "top1_drop_pp", "{:.2f}"),
    ("agree %", "agreement_pct", "{:.2f}"),
    ("ms", "latency_ms_p50", "{:.2f}"),
    ("MB", "size_bytes", "{:.2f}"),
)
_MISSING = "-"


def candidate_rows(
    accuracy: AccuracyReport | None,
    benchmark: BenchmarkReport | None,
    refused: Iterable[CandidateReport] = (),
) -> list[dict[str, Any]]:
    """One row for each candidate and batch size, with its accuracy; None where none was measured.

    Args:
        accuracy: Accuracy part of a report.
        benchmark: Timings of a report.
        refused: Candidates that are wrong where they would run.
    """
    scores = {one.artifact: one for one in (accuracy.candidates if accuracy else ())}
    timed = benchmark.rows if benchmark else ()
    wrong = {one.artifact for one in refused}
    chosen = benchmark.chosen if benchmark else None
    found = []
    for row in timed:
        named = _named(row) | _score(scores.get(row.artifact))
        figures = row.model_dump(mode="json", include=set(_FIGURES))
        found.append(named | {name: figures[name] for name in _FIGURES})
    untimed = [one for name, one in scores.items() if name not in {row.artifact for row in timed}]
    found += [_named(one) | _score(one) | dict.fromkeys(_FIGURES) for one in untimed]
    for one in found:
        one["chosen"] = one["artifact"] == chosen
        one["refused"] = one["artifact"] in wrong
    return found


_FIGURES = (
    "batch", "threads", "latency_ms_p50", "latency_ms_p90", "latency_ms_p99", "throughput_img_s",
    "size_bytes", "peak_memory_bytes", "samples", "rounds",
)  # fmt: skip


def _named(one: CandidateReport) -> dict[str, Any]:
    return {
        "artifact": one.artifact,
        "precision": one.precision,
        "runtime": one.runtime,
        "form": one.form,
        "placement": one.placement,
        "float_type": one.precision_hint,
    }


def _score(one: CandidateAccuracy | None) -> dict[str, Any]:
    low, high = one.top1_drop_ci95_pp if one else (None, None)
    return {
        "top1_pct": one.top1_pct if one else None,
        "top1_drop_pp": one.top1_drop_pp if one else None,
        "top1_drop_low_pp": low,
        "top1_drop_high_pp": high,
        "agreement_pct": one.agreement_pct if one else None,
        "sqnr_db": one.sqnr_db if one else None,
    }


def notebook_html(
    title: str, verdict: str, sentences: Sequence[str], rows: Sequence[dict[str, Any]]
) -> str:
    """A report at a glance, as Jupyter shows it; every text is escaped.

    Args:
        title: Name of the model.
        verdict: Words for what ships.
        sentences: Reasons of the verdict.
        rows: Rows of `candidate_rows`; those of the smallest batch size are shown.
    """
    batch = min((row["batch"] for row in rows if row["batch"] is not None), default=None)
    shown = [row for row in rows if row["batch"] == batch or row["batch"] is None]
    head = "".join(f"<th>{_text(name)}</th>" for name, _, _ in _SHOWN)
    body = "".join(_line(row) for row in shown)
    reasons = "".join(f"<li>{_text(one)}</li>" for one in sentences)
    at_batch = f" <small>at batch {batch}</small>" if batch is not None else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if shown else ""
    return (
        f"<div><p><b>{_text(title)}: {_text(verdict)}</b>{at_batch}</p><ul>{reasons}</ul>{table}"
        "</div>"
    )


def _line(row: dict[str, Any]) -> str:
    cells = "".join(f"<td>{_text(_cell(row[key], key, how))}</td>" for _, key, how in _SHOWN)
    return f'<tr style="font-weight: bold">{cells}</tr>' if row["chosen"] else f"<tr>{cells}</tr>"


def _cell(value: Any, key: str, how: str) -> str:
    if value is None:
        return _MISSING
    return how.format(value / 1e6 if key == "size_bytes" else value)


def _text(text: str) -> str:
    return escape(printable(text))

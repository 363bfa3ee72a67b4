"""A history as a table of text, CSV, and one HTML page whose table can be sorted."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from edge_convnext.core.text import printable, spreadsheet_cell
from edge_convnext.core.version import __version__
from edge_convnext.report.history.entries import COLUMNS, Entry, History
from edge_convnext.report.history.trend import HEIGHT, WIDTH, draw_trend
from edge_convnext.report.page import render_page
from edge_convnext.report.summary import MISSING, number

__all__ = ["HEADINGS", "busy_note", "cells", "to_csv", "to_html"]

HEADINGS = (
    "label", "date", "build", "model", "ships", "top-1 %", "drop pp [95 %]", "latency", "MB",
    "machine",
)  # fmt: skip


def cells(entry: Entry) -> tuple[str, ...]:
    """One line of the table, under `HEADINGS`; text from outside has no control characters."""
    drop = number(entry.drop_pp, 2)
    if entry.drop_low_pp is not None and entry.drop_high_pp is not None:
        drop = f"{drop} [{entry.drop_low_pp:.2f}, {entry.drop_high_pp:.2f}]"
    ratio = MISSING if entry.latency_ratio is None else f"{entry.latency_ratio:.2f}x"
    if entry.latency_ratio is not None and entry.ratio_over != "raw FP32":
        ratio += " of best float"
    found = (
        entry.label or MISSING,
        entry.created.strftime("%Y-%m-%d %H:%M") if entry.created else MISSING,
        entry.path if entry.kind == "build" else f"{entry.path} ({entry.kind})",
        f"{entry.model} {entry.precision}",
        entry.ships or MISSING,
        number(entry.top1_pct, 2),
        drop,
        f"{ratio} busy" if entry.busy else ratio,
        number(entry.size_bytes / 1e6, 2) if entry.size_bytes is not None else MISSING,
        entry.machine[:8],
    )
    return tuple(map(printable, found))


def busy_note(entries: Sequence[Entry]) -> str:
    """How to read the table's column of latencies."""
    overs = {one.ratio_over for one in entries if one.latency_ratio is not None}
    over = "raw FP32's"
    if overs == {"best float"}:
        over = "the best float's"
    elif "best float" in overs:
        over += ", or the best float's where the cell says so,"
    text = f"latency: over {over} in the same run; below 1 is faster"
    if any(one.busy for one in entries):
        text += "; busy: other programs or a CPU quota disturbed the timings"
    return f"{text}. Ratios of different machines do not compare."


def to_csv(history: History) -> str:
    """All figures, unrounded; text that a spreadsheet would run as a formula begins with `'`."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in history.entries:
        writer.writerow([_value(getattr(one, name)) for name in COLUMNS])
    return file.getvalue()


def _value(value: object) -> object:
    if not isinstance(value, str):
        return value.isoformat() if hasattr(value, "isoformat") else value
    return spreadsheet_cell(printable(value))


def to_html(history: History) -> str:
    """One page that needs no other file: the trend, and a table that sorts by its headings."""
    script = Path(__file__).with_name("sort.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rows = [zip(cells(one), _sort_keys(one), strict=True) for one in history.entries]
    return render_page(
        "history/history.html",
        title="Builds and baselines",
        folder=printable(history.folder),
        pictures=draw_trend(history.entries),
        width=WIDTH,
        height=HEIGHT,
        headings=HEADINGS,
        rows=[list(row) for row in rows],
        note=busy_note(history.entries),
        skipped=[printable(one) for one in history.skipped],
        script=script,
        script_hash=digest,
        version=__version__,
    )


def _sort_keys(entry: Entry) -> tuple[str, ...]:
    """What each cell is sorted by: numbers where it has one, else its text."""
    figures = {
        "date": entry.created.timestamp() if entry.created else None,
        "top-1 %": entry.top1_pct,
        "drop pp [95 %]": entry.drop_pp,
        "latency": entry.latency_ratio,
        "MB": entry.size_bytes,
    }
    shown = dict(zip(HEADINGS, cells(entry), strict=True))
    return tuple(
        ("" if (value := figures[name]) is None else repr(value))
        if name in figures
        else shown[name]
        for name in HEADINGS
    )

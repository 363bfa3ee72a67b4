"""Find builds, boards' reports and saved baselines below a folder, and read a line of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from edge_convnext.core.contention import why_skewed
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import AnyPath
from edge_convnext.report.compare.sides import (
    Kind,
    check_unedited,
    is_baseline,
    model_size,
    precision_of,
)
from edge_convnext.report.compare.speeds import chosen_row
from edge_convnext.report.contract import Report
from edge_convnext.report.file_names import REPORT
from edge_convnext.report.gate.baseline import Speed, read_baseline, speed_of
from edge_convnext.report.manifest import MANIFEST

__all__ = ["COLUMNS", "SORTS", "Entry", "History", "Sort", "find_history", "sort_entries"]

Sort = Literal["date", "label", "top1", "drop", "latency", "size"]

_BASELINE = b"edge-convnext/baseline/"  # in each of them
_MOST_BYTES = 256 << 20
_LEAST_SPEEDUP = 1e-6
_PASSED_OVER = {"node_modules", "__pycache__"}  # beside hidden folders


@dataclass(frozen=True)
class Entry:
    """One build, board's report or baseline, in figures."""

    path: str  # below the folder
    kind: Kind
    label: str | None
    created: datetime | None  # a baseline has no date
    model: str
    precision: str
    ships: str | None
    top1_pct: float | None
    drop_pp: float | None  # FP32's top-1 minus this precision's
    drop_low_pp: float | None  # 95 % interval
    drop_high_pp: float | None
    latency_ratio: float | None  # over the float below, in the same run; below 1 is faster
    ratio_low: float | None
    ratio_high: float | None
    ratio_over: str | None  # "raw FP32" or "best float"
    busy: str | None  # what disturbed the timings
    latency_ms: float | None  # of the chosen model, at the smallest batch
    size_bytes: int | None
    machine: str  # fingerprint: milliseconds of different machines do not compare


COLUMNS = tuple(one.name for one in fields(Entry))


@dataclass(frozen=True)
class History:
    """What was found below a folder."""

    folder: str
    entries: tuple[Entry, ...]
    skipped: tuple[str, ...]  # files that look like one, and why they are not listed
    read: tuple[Path, ...] = ()  # all of these files, listed or not


def find_history(folder: AnyPath) -> History:
    """Read every build, board's report and baseline below a folder, the oldest first.

    Links to folders are not followed, and hidden folders are passed over.

    Args:
        folder: Folder to look through.

    Raises:
        ArtifactError: It is no folder, or nothing is below it.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "is a file" if root.exists() else "no such folder"
        raise ArtifactError(f"{root}: {what}; pass the folder that your builds are in")
    entries, skipped = [], []
    candidates = tuple(_candidates(root))
    for path in candidates:
        try:
            entries.append(_entry(path, path.relative_to(root).as_posix()))
        except ArtifactError as error:
            skipped.append(str(error))
    if not entries:
        more = f" ({len(skipped)} could not be read; the first: {skipped[0]})" if skipped else ""
        raise ArtifactError(
            f"{root}: no {REPORT} of a build or board and no baseline of gate --save-baseline is "
            f"below it{more}; pass the folder that your builds are in"
        )
    return History(str(root), sort_entries(entries, "date"), tuple(skipped), candidates)


def _candidates(root: Path) -> Iterator[Path]:
    """Reports and baselines by what they are called and hold, in the order of their paths."""
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(one for one in inner if one[0] != "." and one not in _PASSED_OVER)
        for name in sorted(names):
            path = Path(folder, name)
            if name == REPORT or (name != MANIFEST and _may_be_baseline(path)):
                yield path


def _may_be_baseline(path: Path) -> bool:
    """Whether a JSON file is a baseline; most are told from their bytes alone."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        if path.stat().st_size > _MOST_BYTES or _BASELINE not in path.read_bytes():
            return False
    except OSError:
        return False
    return is_baseline(path)


def _entry(path: Path, name: str) -> Entry:
    if path.name != REPORT or is_baseline(path):
        return _of_baseline(path, name)
    report = Report.read(path)
    check_unedited(path)
    precision = precision_of(path, report)
    accuracy = report.accuracy
    own = getattr(accuracy, precision) if accuracy else None
    low, high = (accuracy.top1_drop_ci95_pp if accuracy else None) or (None, None)
    verdict = report.verdict
    chosen = chosen_row(report)
    return Entry(
        path=Path(name).parent.as_posix(),
        kind="build" if report.board is None else "board",
        label=report.label,
        created=report.created,
        model=report.model.name,
        precision=precision,
        ships=" ".join(filter(None, (verdict.ship, verdict.confidence))),
        top1_pct=own.top1_pct if own else None,
        drop_pp=accuracy.top1_drop_pp if accuracy else None,
        drop_low_pp=low,
        drop_high_pp=high,
        latency_ms=chosen.latency_ms_p50 if chosen else None,
        size_bytes=model_size(report, precision),
        **_speed_fields(speed_of(report)),
    )


def _of_baseline(path: Path, name: str) -> Entry:
    found = read_baseline(path)
    return Entry(
        path=name,
        kind="baseline",
        label=None,
        created=None,
        model=found.model,
        precision=found.precision,
        ships=None,
        top1_pct=found.top1_pct,
        drop_pp=None,
        drop_low_pp=None,
        drop_high_pp=None,
        latency_ms=None,
        size_bytes=found.size_bytes,
        **_speed_fields(found.speed),
    )


def _speed_fields(speed: Speed) -> dict[str, Any]:
    """The latency over a float's of the same run: one divided by the speed-up."""
    over, ratio, interval = "raw FP32", speed.speedup_vs_raw_fp32, speed.speedup_vs_raw_fp32_ci95
    if ratio is None:
        over, ratio = "best float", speed.speedup_vs_best_float
        interval = speed.speedup_vs_best_float_ci95
    low, high = interval or (None, None)
    return {
        "latency_ratio": _inverse(ratio),
        "ratio_low": _inverse(high),
        "ratio_high": _inverse(low),
        "ratio_over": over if ratio else None,
        "busy": why_skewed(speed.other_load_pct, speed.throttled_periods) if ratio else None,
        "machine": speed.fingerprint,
    }


def _inverse(ratio: float | None) -> float | None:
    """One divided by a speed-up; None where it is no measurement."""
    return 1.0 / ratio if ratio is not None and ratio > _LEAST_SPEEDUP else None


_KEYS: dict[Sort, Callable[[Entry], float | str | None]] = {
    "date": lambda one: one.created.timestamp() if one.created else None,
    "label": lambda one: one.label,
    "top1": lambda one: None if one.top1_pct is None else -one.top1_pct,
    "drop": lambda one: one.drop_pp,
    "latency": lambda one: one.latency_ratio,
    "size": lambda one: one.size_bytes,
}
SORTS: tuple[Sort, ...] = tuple(_KEYS)


def sort_entries(entries: list[Entry] | tuple[Entry, ...], by: Sort) -> tuple[Entry, ...]:
    """Sort: the oldest first, or the best first; what has no value comes last, by its path."""
    key = _KEYS[by]
    known = [one for one in entries if key(one) is not None]
    known.sort(key=lambda one: (key(one), one.path))
    unknown = sorted((one for one in entries if key(one) is None), key=lambda one: one.path)
    return (*known, *unknown)

"""What is compared: builds, boards' reports and saved baselines, read into one form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from edge_convnext.core.artifacts import Precision
from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.class_names import composed
from edge_convnext.core.errors import ArtifactError, shorten
from edge_convnext.core.files import sha256_file
from edge_convnext.report.contract import HALF_SEARCHED, Report
from edge_convnext.report.file_names import PREDICTIONS, REPORT
from edge_convnext.report.gate.baseline import (
    Baseline,
    Speed,
    image_key,
    read_baseline,
    speed_of,
)
from edge_convnext.report.gate.evidence import model_file, read_predictions
from edge_convnext.report.manifest import MANIFEST, require_unedited

__all__ = [
    "Answer",
    "Kind",
    "Side",
    "check_unedited",
    "is_baseline",
    "model_size",
    "precision_of",
    "read_side",
    "side_of_baseline",
]

Kind = Literal["build", "board", "baseline"]

_BASELINES = "edge-convnext/baseline/"  # begins the schema of each


@dataclass(frozen=True)
class Answer:
    """What a model said of one image."""

    label: str | None  # the true class; None in a baseline that keeps none
    said: str
    fp32: str | None  # FP32's answer; None in a baseline


@dataclass(frozen=True)
class Side:
    """One of the builds that are compared."""

    called: str  # in sentences, such as "A"
    name: str  # path, as the user gave it
    kind: Kind
    model: str
    precision: str
    classes: tuple[str, ...]  # in logit order; empty where none are known
    versions: Mapping[str, str]
    speed: Speed
    top1_pct: float | None
    fp32_top1_pct: float | None
    size_bytes: int | None
    answers: tuple[tuple[str, Answer], ...]  # by the image's key, in the order of the file
    no_answers: str | None = None  # why there are none
    halved: bool = False  # the other half of the images was used to look for a fallback
    created: datetime | None = None
    label: str | None = None  # what its maker calls it
    report: Report | None = None  # None of a baseline
    notes: tuple[str, ...] = ()


def is_baseline(path: Path) -> bool:
    """Whether a file says that it is a baseline of `gate --save-baseline`."""
    if not path.is_file():
        return False
    try:
        fields = json.loads(read_text_bounded(path))
    except (OSError, ValueError, RecursionError, ArtifactError):
        return False
    schema = fields.get("schema") if isinstance(fields, dict) else None
    return isinstance(schema, str) and schema.startswith(_BASELINES)


def read_side(path: Path, called: str) -> Side:
    """Read a build, a board's report or a baseline.

    Args:
        path: Folder of a build or of a board's report, its `report.json`, or a baseline.
        called: Word for it in sentences.

    Raises:
        ArtifactError: It is none of these; or its report or its answers are not those that were
            written together.
    """
    if is_baseline(path):
        return side_of_baseline(path, called, read_baseline(path))
    return _of_report(path, called, path / REPORT if path.is_dir() else path)


def side_of_baseline(path: Path, called: str, found: Baseline) -> Side:
    """A baseline that was read before, as `read_side` returns it."""
    answers = tuple(
        (key, Answer(found.label_of(key), said, None)) for key, said in found.predictions.items()
    )
    return Side(
        called=called,
        name=str(path),
        kind="baseline",
        model=found.model,
        precision=found.precision,
        classes=found.classes,
        versions=found.versions,
        speed=found.speed,
        top1_pct=found.top1_pct,
        fp32_top1_pct=None,
        size_bytes=found.size_bytes,
        answers=answers,
        no_answers=None if answers else "the baseline keeps no answers",
        halved=found.halved,
    )


def _of_report(name: Path, called: str, path: Path) -> Side:
    report = Report.read(path)
    notes = check_unedited(path)
    precision = precision_of(path, report)
    answers, why_none = _answers(path, report, precision)
    accuracy = report.accuracy
    own = getattr(accuracy, precision) if accuracy else None
    return Side(
        called=called,
        name=str(name),
        kind="build" if report.board is None else "board",
        model=report.model.name,
        precision=precision,
        classes=tuple(map(composed, report.model.classes)),
        versions=report.environment.versions,
        speed=speed_of(report),
        top1_pct=own.top1_pct if own else None,
        fp32_top1_pct=accuracy.fp32.top1_pct if accuracy else None,
        size_bytes=model_size(report, precision),
        answers=answers,
        no_answers=why_none,
        halved=any(one.searched_on == HALF_SEARCHED for one in report.fallbacks),
        created=report.created,
        label=report.label,
        report=report,
        notes=(*notes, *([report.banner] if report.banner else [])),
    )


def check_unedited(path: Path) -> tuple[str, ...]:
    """Check the report by its manifest; note where there is none, as in a copy of the file."""
    if path.with_name(MANIFEST).is_file():
        require_unedited(path)
        return ()
    return (f"Without {MANIFEST} beside it, nothing shows that the report is as it was written.",)


def precision_of(path: Path, report: Report) -> Precision:
    """The precision that a report's build is of.

    Raises:
        ArtifactError: The recipe states none that is known.
    """
    found = report.recipe.get("precision")
    if found not in get_args(Precision):
        raise ArtifactError(
            f"{path}: its recipe has no precision of {', '.join(get_args(Precision))}, but "
            f"{shorten(repr(found), 40)}; build again"
        )
    precision: Precision = found  # type: ignore[assignment]  # one of them
    return precision


def _answers(
    path: Path, report: Report, precision: Precision
) -> tuple[tuple[tuple[str, Answer], ...], str | None]:
    """The answers beside a report, or why there are none."""
    if report.accuracy is None:
        return (), f"no image was evaluated ({report.stage('evaluate').reason})"
    recorded = {file.path: file.sha256 for file in report.outputs}
    file = path.with_name(PREDICTIONS)
    if PREDICTIONS not in recorded:
        return (), f"the report names no {PREDICTIONS}"
    if not file.is_file():
        return (), f"{PREDICTIONS} is not beside the report"
    if sha256_file(file) != recorded[PREDICTIONS]:
        raise ArtifactError(f"{file}: is not the file that {path} is about; build again")
    found = read_predictions(file, precision)
    return tuple(
        (image_key(one.sha256), Answer(one.label, one.candidate, one.fp32)) for one in found
    ), None


def model_size(report: Report, precision: Precision) -> int | None:
    """Size of the model of the build's precision; on a board, of the candidate it chose."""
    if report.board is None:
        name = model_file(report, precision)
        return next((file.bytes for file in report.outputs if file.path == name), None)
    timed = report.benchmark
    rows = timed.rows if timed else ()
    return next((row.size_bytes for row in rows if timed and row.artifact == timed.chosen), None)

"""Read a finished build as evidence: the report, the files it names, the predictions per image.

Nothing is decided here, but evidence that can't be used is refused.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.core.artifacts import TFLITE_SUFFIX, Precision, file_of
from edge_convnext.core.class_names import composed
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.report.contract import HALF_SEARCHED, Report
from edge_convnext.report.file_names import PREDICTIONS, REPORT
from edge_convnext.report.manifest import require_unedited

__all__ = [
    "Evidence",
    "Prediction",
    "model_file",
    "read_evidence",
    "read_predictions",
]


@dataclass(frozen=True)
class Prediction:
    """The answers to one image."""

    sha256: str
    label: str
    fp32: str
    candidate: str
    margin: float  # of the candidate: largest logit minus the second largest

    @property
    def lost(self) -> bool:
        """Only FP32 is right."""
        return self.fp32 == self.label != self.candidate

    @property
    def won(self) -> bool:
        """Only the candidate is right."""
        return self.candidate == self.label != self.fp32


@dataclass(frozen=True)
class Evidence:
    """A report, after a check that its files are those it was written about."""

    path: Path
    report: Report
    precision: Precision
    predictions: tuple[Prediction, ...]  # an image that is twice in the set is here twice
    model_bytes: int  # of the model of that precision

    @property
    def top1_pct(self) -> float:
        """Top-1 of the gated model."""
        right = sum(one.candidate == one.label for one in self.predictions)
        return 100.0 * right / len(self.predictions)

    @property
    def fp32_top1_pct(self) -> float:
        """Top-1 of FP32 on the same images."""
        right = sum(one.fp32 == one.label for one in self.predictions)
        return 100.0 * right / len(self.predictions)

    @property
    def halved(self) -> bool:
        """Whether half of the images were used to look for a fallback: these are the other half."""
        return any(one.searched_on == HALF_SEARCHED for one in self.report.fallbacks)

    def notes(self) -> tuple[str, ...]:
        """Notes on what the decisions are about, where a reader may expect something else."""
        report, precision = self.report, self.precision
        found = []
        if report.board is not None:
            found.append(
                f"Measured on {report.board.name}; FP32's class of each image is from the build."
            )
        if report.verdict.ship != precision:
            ship = report.verdict.ship
            what = "is undecided" if ship == "undecided" else f"ships {ship}"
            found.append(f"The gate is on {precision}, the report's verdict {what}.")
        guess_pct = 100.0 / max(1, len(report.model.classes))
        if self.top1_pct < guess_pct:
            found.append(
                f"{precision.upper()} is right on {self.top1_pct:.2f} % of the images, guessing "
                f"would be on {guess_pct:.2f} %: look at labels, class order and preprocessing."
            )
        if report.boards:
            names = ", ".join(run.board.name for run in report.boards)
            found.append(
                f"What boards measured is merged into this report and not judged here ({names}): "
                "gate the report.json of each."
            )
        return tuple(found)


def read_evidence(path: Path) -> Evidence:
    """Read a report and check everything it stands on.

    Args:
        path: `report.json` of a build or of a board, or the folder that it lies in.

    Raises:
        ArtifactError: There is no report of this schema; a file beside it is missing or has
            another hash; it is the demo's; or a stage that a gate needs did not run.
    """
    path = path / REPORT if path.is_dir() else path
    report = Report.read(path)
    if report.banner is not None:
        raise ArtifactError(
            f"{path}: is the demo's report, which says nothing of your model; "
            "build with --weights and --data"
        )
    for output in report.outputs:
        _check_file(path, path.parent / output.path, output.sha256)
    require_unedited(path)
    precision: Precision = report.recipe["precision"]  # type: ignore[assignment]  # validated
    if precision == "fp32":
        raise ArtifactError(
            f"{path}: is a build of FP32, which is the reference itself; gate one of INT8"
        )
    named = {file.path for file in report.outputs}
    model = model_file(report, precision)
    if report.board is None:
        _require_evaluation(path, report)
        if missing := {model, PREDICTIONS} - named:
            raise ArtifactError(f"{path}: names no {' and no '.join(sorted(missing))}; build again")
        model_bytes = path.with_name(model).stat().st_size
    else:
        model_bytes = _require_board_evidence(path, report, precision, named)
    predictions = read_predictions(path.with_name(PREDICTIONS), precision)
    _check_figures(path, report, predictions)
    return Evidence(path, report, precision, predictions, model_bytes)


def model_file(report: Report, precision: Precision) -> str:
    """Name of the file that a build's figures of one precision are about."""
    chosen = file_of(report.benchmark.chosen or "") if report.benchmark else ""
    lite = f"model.{precision}{TFLITE_SUFFIX}"
    return lite if chosen == lite else f"model.{precision}.onnx"


def _require_evaluation(path: Path, report: Report) -> None:
    if report.accuracy is None:
        stage = report.stage("evaluate")
        raise ArtifactError(
            f"{path}: the evaluate stage did not run ({stage.reason}), and a gate without "
            "accuracy would pass by accident; build with labelled images (--data)"
        )


def _require_board_evidence(
    path: Path, report: Report, precision: Precision, named: Collection[str]
) -> int:
    """Size of the model that was measured on the board; another one may ship there."""
    assert report.board is not None
    if report.accuracy is None:
        raise ArtifactError(
            f"{path}: no image was evaluated on this board ({report.stage('evaluate').reason}), "
            "and a gate without accuracy would pass by accident; make the bundle with "
            "--evaluation images, and run bench again"
        )
    rows = report.benchmark.rows if report.benchmark else ()
    chosen = report.benchmark.chosen if report.benchmark else None
    size = next((row.size_bytes for row in rows if row.artifact == chosen), None)
    if size is None:
        why = next((f" ({one.artifact}: {one.reason})" for one in report.board.left_out), "")
        raise ArtifactError(
            f"{path}: no {precision.upper()} model ran on this board{why}, so there is none to "
            "gate; see the board's report.md"
        )
    if PREDICTIONS not in named:
        raise ArtifactError(
            f"{path}: names no {PREDICTIONS}, as bench of this version writes; run bench again"
        )
    return size


def _check_file(report: Path, file: Path, sha256: str) -> None:
    if not file.is_file():
        raise ArtifactError(f"{file}: is missing, and {report} is about it; build again")
    if sha256_file(file) != sha256:
        raise ArtifactError(f"{file}: is not the file that {report} is about; build again")


def read_predictions(path: Path, precision: Precision) -> tuple[Prediction, ...]:
    """Read what FP32 and a precision answered to each image; names are in Unicode's NFC.

    Raises:
        ArtifactError: There is no such file, or not of a build of that precision.
    """
    wanted = ("sha256", "label", "fp32_top1", f"{precision}_top1", f"{precision}_margin")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(_prediction(row, wanted) for row in csv.DictReader(file))
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; build again") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ArtifactError(
            f"{path}: is not the file that a build of {precision} writes ({error}); build again"
        ) from error


def _prediction(row: dict[str, str | None], columns: tuple[str, ...]) -> Prediction:
    found = [row[column] for column in columns]
    if None in found:
        raise ValueError(f"a line has no {columns[found.index(None)]}")  # it was cut off
    sha256, label, fp32, candidate, margin = (value or "" for value in found)
    return Prediction(sha256, composed(label), composed(fp32), composed(candidate), float(margin))


def _check_figures(path: Path, report: Report, predictions: tuple[Prediction, ...]) -> None:
    """Refuse a report whose figures do not agree with its predictions."""
    accuracy = report.accuracy
    assert accuracy is not None
    said = (accuracy.n_images, accuracy.lost, accuracy.won)
    lost, won = sum(one.lost for one in predictions), sum(one.won for one in predictions)
    if said != (len(predictions), lost, won):
        raise ArtifactError(
            f"{path}: says that of {said[0]} images {said[1]} were lost and {said[2]} won, "
            f"{PREDICTIONS} says {lost} and {won} of {len(predictions)}; build again"
        )

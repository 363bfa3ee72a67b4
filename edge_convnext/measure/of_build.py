"""Facts on a finished model from its build: whether the file was changed, and images it saw."""

from __future__ import annotations

import csv
from pathlib import Path

from edge_convnext.core.artifacts import CPU_FOLDER, GPU_FOLDER
from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.data.splits import Splits
from edge_convnext.report.contract import Report
from edge_convnext.report.file_names import CALIBRATION, PREDICTIONS, REPORT
from edge_convnext.report.manifest import MANIFEST, read_manifest

__all__ = ["build_of", "tell_changed", "tell_seen"]

_MOST_BYTES = 256 << 20  # largest table of hashes to read; that of a million images has 100 MB


def build_of(model: Path) -> Path:
    """The folder of the build that a model belongs to, if it belongs to one."""
    folder = model.absolute().parent
    return folder.parent if folder.name in (CPU_FOLDER, GPU_FOLDER) else folder


def tell_changed(model: Path) -> str | None:
    """A sentence on a model that differs from the file that its build's manifest names.

    None if it is that file, if there is no manifest, or if the manifest does not name the file.
    """
    folder = build_of(model)
    if not (folder / MANIFEST).is_file():
        return None
    try:
        recorded = read_manifest(folder)
    except ArtifactError:
        return None
    stated = recorded.get(model.absolute().relative_to(folder).as_posix())
    if stated is None or sha256_file(model) == stated:
        return None
    return (
        f"{model}: is not the file that {MANIFEST} beside it is about, so it was changed since the "
        "build: its answers and class names can't be trusted"
    )


def tell_seen(model: Path, splits: Splits, seed: int) -> tuple[str, ...]:
    """Sentences on evaluation images that the build of a model used for something else.

    Args:
        model: File of the model; without the other files of its build there is nothing to say.
        splits: Data that the model is evaluated on.
        seed: Seed that data without a split of its own was split by here.
    """
    folder = build_of(model)
    images = splits.val.hashes
    told = []
    calibrating = images & _hashes_in(folder / CALIBRATION)
    if calibrating:
        told.append(
            f"{len(calibrating)} of {len(images)} evaluation images calibrated this very build "
            "(calibration.csv): the figure is not honest for INT8."
        )
    evaluated = _hashes_in(folder / PREDICTIONS)
    if splits.by_seed and evaluated:
        other = len(images - evaluated)
        told.append(
            f"The data has no split of its own and was split anew, by seed {seed}: {other} of "
            f"{len(images)} images are not among the {len(evaluated)} that the build evaluated, "
            f"and the weights may have been trained on them. The build's own split: "
            f"{_split_of(folder)}."
        )
    return tuple(told)


def _split_of(folder: Path) -> str:
    try:
        data = Report.read(folder / REPORT).data
    except ArtifactError:
        data = None
    return data.split if data is not None else "not stated in its report"


def _hashes_in(path: Path) -> frozenset[str]:
    """The column `sha256` of a table that a build wrote; empty without a table."""
    try:
        rows = csv.DictReader(read_text_bounded(path, _MOST_BYTES).splitlines())
        return frozenset(row["sha256"] for row in rows if row.get("sha256"))
    except (OSError, UnicodeDecodeError, csv.Error):
        return frozenset()

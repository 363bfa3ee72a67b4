"""What the build beside a finished model says of it: is it that file, and which images it saw."""

from __future__ import annotations

import csv
from pathlib import Path

from edge_convnext.core.artifacts import CPU_FOLDER, GPU_FOLDER
from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.data.splits import Splits
from edge_convnext.report.contract import Report
from edge_convnext.report.manifest import MANIFEST, read_manifest

__all__ = ["build_of", "tell_changed", "tell_seen"]

_MOST_BYTES = 256 << 20  # of a table of hashes: a million images have 100 MB


def build_of(model: Path) -> Path:
    """The folder of the build that a model would lie in."""
    folder = model.absolute().parent
    return folder.parent if folder.name in (CPU_FOLDER, GPU_FOLDER) else folder


def tell_changed(model: Path) -> str | None:
    """A sentence on a model that is not the file that the manifest beside it names.

    None where it is, where there is no manifest, or one that says nothing of this file.
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
        "build: what it answers, and by which names, nothing vouches for"
    )


def tell_seen(model: Path, splits: Splits, seed: int) -> tuple[str, ...]:
    """Sentences on evaluation images that the build of a model used otherwise.

    Args:
        model: Its file; without the files of a build beside it nothing is said.
        splits: The data that it is evaluated on.
        seed: That an unsplit set was split by here.
    """
    folder = build_of(model)
    images = splits.val.hashes
    told = []
    calibrating = images & _hashes_in(folder / "calibration.csv")
    if calibrating:
        told.append(
            f"{len(calibrating)} of {len(images)} evaluation images calibrated this very build "
            "(calibration.csv): the figure is not honest for INT8."
        )
    evaluated = _hashes_in(folder / "predictions.csv")
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
        data = Report.read(folder / "report.json").data
    except ArtifactError:
        data = None
    return data.split if data is not None else "its report does not tell"


def _hashes_in(path: Path) -> frozenset[str]:
    """The column `sha256` of a table that a build wrote; nothing where there is none."""
    try:
        rows = csv.DictReader(read_text_bounded(path, _MOST_BYTES).splitlines())
        return frozenset(row["sha256"] for row in rows if row.get("sha256"))
    except (OSError, UnicodeDecodeError, csv.Error):
        return frozenset()

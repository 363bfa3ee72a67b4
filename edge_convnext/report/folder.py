"""The folder of a build: its files by name, the report in it, and what may be added later."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edge_convnext.core.artifacts import CPU_FOLDER, GPU_FOLDER, TFLITE_SUFFIX, Precision
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import write_text_atomic
from edge_convnext.core.locks import hold_lock
from edge_convnext.core.swap import (
    left_names,
    require_writable,
    swap,
    written_beside,
)
from edge_convnext.report.file_names import REPORT
from edge_convnext.report.manifest import MANIFEST, check_unchanged, read_manifest, write_manifest

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report

__all__ = [
    "REPORT",
    "amend_report",
    "check_addable",
    "check_writable",
    "files_in",
    "find_old_files",
    "gpu_graph_name",
    "write_report",
    "write_reports",
]

_TABLES = "report.md"


_MODELS = tuple(f"model.{precision}" for precision in get_args(Precision))


_PRECISIONS = "|".join(get_args(Precision))


# By their full names: the folder may hold a user's own `model.best.onnx`.
_OURS = (
    *(f"{model}.onnx" for model in _MODELS),
    *(f"{model}{TFLITE_SUFFIX}" for model in _MODELS),
    "calibration.csv",
    "predictions.csv",
    _TABLES,
    REPORT,
    MANIFEST,
)


_ENGINE = re.compile(rf"model\.({_PRECISIONS})\.rtx(\.sm[\d-]+\.b\d+)?\.engine(\.json)?")


_GPU_GRAPH = re.compile(rf"({_PRECISIONS})\.b\d+(\.opset17)?\.onnx")


_CPU_GRAPH = re.compile(rf"({_PRECISIONS})\.[a-z0-9_]+\.onnx")


def check_writable(folder: Path) -> None:
    """Fail before the first stage, not after the last, when the output can't be written.

    Raises:
        ArtifactError: The folder is a file, has files of the same names that no build wrote,
            or its nearest existing parent can't be written.
    """
    require_writable(folder)
    find_old_files(folder)


def write_reports(report: Report, folder: Path) -> None:
    """Write `report.md` and `report.json`; the caller writes the manifest."""
    from edge_convnext.report.markdown import to_markdown

    write_text_atomic(folder / _TABLES, to_markdown(report))
    report.write(folder / REPORT)


def write_report(report: Report, folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Write both forms of a build's report, and the manifest that has their hashes.

    Args:
        report: Report of the build.
        folder: Folder of the build; the caller holds its lock.
        known: Hashes of unchanged files, as for `manifest.write_manifest`.

    Raises:
        ArtifactError: There is no room on the disk; the older report is as it was.
    """
    with written_beside(folder) as new:
        write_reports(report, new)
        files = [path for path in files_in(folder) if path.name not in (REPORT, _TABLES)]
        if (
            known is not None
        ):  # a file that no build wrote is not recorded as the build's, though it has such a name
            files = [path for path in files if path.relative_to(folder).as_posix() in known]
        write_manifest(folder, files, known, new)
        swap(new, folder, (), MANIFEST)


def check_addable(folder: Path, report: Report) -> dict[str, str]:
    """Check that a build is as it was finished, before something is added to its report.

    Args:
        folder: Folder of the build.
        report: Report that is there.

    Returns:
        SHA-256 by name, of all files that an addition does not change.

    Raises:
        ArtifactError: A file is missing or was changed since.
    """
    outputs = {file.path: file.sha256 for file in report.outputs}
    # The tables are made from the report anew, so an edited table does not stay.
    found = check_unchanged(folder, outputs, (_TABLES,))
    return {name: sha256 for name, sha256 in found.items() if name != REPORT}


def amend_report(report: Report, folder: Path, before: Report) -> None:
    """Write a finished build's report anew; the files beside it keep the hashes they had.

    Args:
        report: New report.
        folder: Folder of the build.
        before: Report that is there.

    Raises:
        ArtifactError: As for `check_addable`; or the report was changed since it was read. Then
            nothing is written.
    """
    with hold_lock(folder.resolve()):
        if type(before).read(folder / REPORT) != before:
            raise ArtifactError(
                f"{folder / REPORT}: another command has written it meanwhile; run this one again"
            )
        write_report(report, folder, check_addable(folder, before))


def files_in(folder: Path) -> list[Path]:
    """Every file there that has the name of a build's file, except the manifest."""
    named = _named_as_ours(folder)
    return sorted(path for path in named if path.is_file() and path != folder / MANIFEST)


def find_old_files(folder: Path) -> set[str]:
    """Names of an older build's files, whole or not.

    Raises:
        ArtifactError: A file has the name of a build's file, and no build there lists it.
    """
    named = {path.relative_to(folder).as_posix() for path in _named_as_ours(folder)}
    if foreign := sorted(named - _answered_for(folder)) if named else []:
        raise ArtifactError(
            f"{folder / foreign[0]}: would be overwritten, and no build in {folder} says that it "
            "wrote it; move it, or choose another --out"
        )
    return named


def _named_as_ours(folder: Path) -> list[Path]:
    named = [folder / name for name in _OURS]
    named += [path for path in folder.glob("model.*") if _ENGINE.fullmatch(path.name)]
    graphs = (folder / GPU_FOLDER).glob("*.onnx")
    named += [path for path in graphs if _GPU_GRAPH.fullmatch(path.name)]
    graphs = (folder / CPU_FOLDER).glob("*.onnx")
    named += [path for path in graphs if _CPU_GRAPH.fullmatch(path.name)]
    return [path for path in named if os.path.lexists(path)]


def _answered_for(folder: Path) -> set[str]:
    """Names that a manifest or report there lists, or that a killed build was replacing."""
    from edge_convnext.report.contract import Report

    names = left_names(folder)
    with suppress(ArtifactError):
        names |= {*read_manifest(folder), MANIFEST}
    with suppress(ArtifactError):
        report = Report.read(folder / REPORT)
        if report.board is None:
            names |= {REPORT, _TABLES, MANIFEST} | {file.path for file in report.outputs}
    return names


def gpu_graph_name(path: Path) -> str:
    """Where in a build's folder a graph for TensorRT goes."""
    return f"{GPU_FOLDER}/{path.name}"

"""Write a board's results: the file that ships there, and the forms of its report."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, get_args

from edge_convnext.core.artifacts import Precision
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.locks import hold_lock
from edge_convnext.core.swap import left_names, swap, written_beside
from edge_convnext.report.contract import Report
from edge_convnext.report.described import FileReport
from edge_convnext.report.file_names import PREDICTIONS, REPORT
from edge_convnext.report.folder import write_reports
from edge_convnext.report.manifest import MANIFEST, PAGE, TABLES, write_manifest
from edge_convnext.report.owned import is_own_page

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.report.beside import Beside

__all__ = ["OWN_FILES", "find_old", "publish_board"]

_WINNERS = tuple(
    f"model.{precision}.{suffix}"
    for precision in get_args(Precision)
    for suffix in ("onnx", "engine", "engine.json")
)
OWN_FILES = (*_WINNERS, PREDICTIONS)  # files next to the report


def publish_board(files: Beside, report: Report, out: Path) -> Report:
    """Write the file that ships and the report; then remove an older bench's files.

    `manifest.json` comes last. It has the report's hash, by which the gate finds an edited report.

    Args:
        files: Files to write next to the report.
        report: The report, complete except `outputs`.
        out: Folder to write.

    Returns:
        The report as it was written.

    Raises:
        ArtifactError: There is no room on the disk; an older bench is unchanged.
    """
    with hold_lock(out.resolve()):
        old = find_old(out)
        with written_beside(out) as new:
            written = _write_all(files, report, new, out)
            swap(new, out, old, MANIFEST)
    return written


def find_old(out: Path) -> set[str]:
    """List the names of an older bench's files next to its report.

    Raises:
        ArtifactError: A file has the name of a bench's file, but no report of a bench lists it.
    """
    known = left_names(out)
    with suppress(ArtifactError):
        report = Report.read(out / REPORT)
        if report.board is not None:
            known |= {MANIFEST, REPORT, TABLES, *(file.path for file in report.outputs)}
            known |= {PAGE} if is_own_page(out / PAGE) else set()
    ours = (MANIFEST, REPORT, TABLES, PAGE, *OWN_FILES)
    named = {name for name in ours if os.path.lexists(out / name)}
    if foreign := sorted(named - known):
        raise ArtifactError(
            f"{out / foreign[0]}: would be removed, and no bench wrote it; choose another --out"
        )
    return named


def _write_all(files: Beside, report: Report, new: Path, out: Path) -> Report:
    """Write everything into `new`, which is about to become `out`."""
    made = files.write(new, out)
    written = report.model_copy(
        update={"outputs": tuple(FileReport.of(path, new) for path in made)}
    )
    write_reports(written, new, new)
    write_manifest(new, (*made, new / REPORT, new / TABLES, new / PAGE))
    return written

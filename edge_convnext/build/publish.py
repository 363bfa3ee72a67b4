"""Write a build's files and report into the folder the user named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.locks import hold_lock
from edge_convnext.core.swap import swap, written_beside
from edge_convnext.report.described import FileReport
from edge_convnext.report.folder import files_in, find_old_files, write_reports
from edge_convnext.report.manifest import MANIFEST, write_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.report.beside import Beside
    from edge_convnext.report.contract import Report

__all__ = ["publish"]


def publish(files: Beside, report: Report, folder: Path) -> Report:
    """Write the files and the report that names them beside an older build, then swap.

    `report.json` comes last but for `manifest.json`, which has its hash: a folder with a manifest
    is a whole build. Two builds write one after the other.

    Args:
        files: Files beside the report.
        report: Complete but for `outputs`.
        folder: Made if it is not there; files that are not a build's are left alone.

    Returns:
        The report as it was written.

    Raises:
        ArtifactError: There is no room on the disk; an older build is as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder.resolve()):  # --out may be a link
        old = find_old_files(folder)
        with written_beside(folder) as new:
            files.write(new, folder)
            outputs = tuple(FileReport.of(path, new) for path in files_in(new))
            written = report.model_copy(update={"outputs": outputs})
            write_reports(written, new)
            write_manifest(new, files_in(new))
            swap(new, folder, old, MANIFEST)
    return written

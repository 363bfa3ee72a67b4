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
    """Write the files and their report into a new folder, then swap it for an older build.

    `manifest.json` is written last, and `report.json`, whose hash it has, before it: a folder with
    a manifest is a complete build. Two builds write one after the other.

    Args:
        files: Files to write next to the report.
        report: Report of the build, complete except for `outputs`.
        folder: Folder to write, made if it is missing; files that are not a build's are kept.

    Returns:
        The report as it was written.

    Raises:
        ArtifactError: There is no room on the disk; an older build stays as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder.resolve()):  # --out may be a link
        old = find_old_files(folder)
        with written_beside(folder) as new:
            files.write(new, folder)
            outputs = tuple(FileReport.of(path, new) for path in files_in(new))
            written = report.model_copy(update={"outputs": outputs})
            write_reports(written, new, new)
            write_manifest(new, files_in(new))
            swap(new, folder, old, MANIFEST)
    return written

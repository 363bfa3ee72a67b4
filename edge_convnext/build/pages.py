"""Pages of finished builds and benches, made anew from what lies in their folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_convnext.core.errors import ArtifactError, RecipeError
from edge_convnext.core.files import write_text_atomic
from edge_convnext.report.contract import Report
from edge_convnext.report.folder import REPORT, is_own_page, renew_page
from edge_convnext.report.html.page import Subject, to_html
from edge_convnext.report.manifest import MANIFEST, PAGE

__all__ = ["as_it_is", "write_page"]

Dress = Callable[[Report, Path], Subject]


def as_it_is(report: Report, folder: Path) -> Subject:
    """A report with what lies beside it, and nothing left out or added."""
    return Subject.of(report, folder)


def write_page(
    reports: Sequence[Path], html: Path | None, out: Path | None, dress: Dress = as_it_is
) -> Path:
    """Make a page of finished builds or benches.

    Args:
        reports: Their folders, or the `report.json` in them; at least one.
        html: File to write. Nothing else is touched then.
        out: Folder for a page of several reports.
        dress: Function that makes of a report and its folder what is shown.

    Returns:
        The page. Without `html` and `out` it is the one in the folder, and its manifest has it.

    Raises:
        ArtifactError: There is no report, or a file of the page's name is somebody's own, or it is
            in the folder of a build. Nothing is written then.
        RecipeError: Several reports, and nowhere to write.
    """
    folders = [path if path.is_dir() else path.parent for path in reports]
    if html is None and out is None:
        if len(folders) > 1:
            raise RecipeError(
                "several reports go on a page of their own: pass -o DIR, or --html FILE"
            )
        return renew_page(folders[0], lambda report: to_html([dress(report, folders[0])]))
    page = html if html is not None else (out or Path()) / PAGE
    _require_free(page)
    subjects = [
        dress(Report.read(path / REPORT if path.is_dir() else path), folder)
        for path, folder in zip(reports, folders, strict=True)
    ]
    text = to_html(subjects)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(page, text)
    return page


def _require_free(page: Path) -> None:
    """Refuse a place where a page would replace something else.

    Raises:
        ArtifactError: It would.
    """
    if page.is_dir():
        raise ArtifactError(f"{page}: is a folder; name a file, such as {page / PAGE}")
    if page.name == PAGE and (page.parent / MANIFEST).exists():
        raise ArtifactError(
            f"{page}: is the page of the build there, which its manifest has; renew it with "
            f"edge-convnext report {page.parent}, or choose another name"
        )
    if os.path.lexists(page) and not is_own_page(page):
        raise ArtifactError(
            f"{page}: is not a page that edge-convnext made; move it, or choose another name"
        )

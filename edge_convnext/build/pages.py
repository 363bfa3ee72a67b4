"""Pages of finished builds and benches, made anew from what lies in their folders."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_convnext.build.apart import require_apart
from edge_convnext.core.errors import ArtifactError, DataError, RecipeError
from edge_convnext.core.files import expand_home, write_text_atomic
from edge_convnext.core.progress import Track, untracked
from edge_convnext.data.thumbnails import find_images, thumbnails
from edge_convnext.report.contract import Report
from edge_convnext.report.file_names import REPORT
from edge_convnext.report.folder import renew_page
from edge_convnext.report.html.changes import KINDS
from edge_convnext.report.html.page import Subject, to_html
from edge_convnext.report.html.public import make_public
from edge_convnext.report.manifest import PAGE
from edge_convnext.report.owned import is_own_page

__all__ = ["Shown", "write_page"]

_MOST_IMAGES = 40


@dataclass(frozen=True)
class Shown:
    """What a page shows of a report."""

    public: bool = False  # no paths, hosts and names of images
    images: bool = False  # those whose answer changed
    data: Path | None = None  # folder or CSV with them; None: where the report says they were
    track: Track = untracked

    def of(self, report: Report, folder: Path) -> Subject:
        """A report, with what lies beside it.

        Raises:
            DataError: Images are asked for, and their place is not there.
        """
        subject = Subject.of(report, folder)
        images = self._images(report, subject) if self.images else {}
        return replace(
            subject, report=make_public(report) if self.public else report, images=images
        )

    def _images(self, report: Report, subject: Subject) -> Mapping[str, str]:
        ordered = sorted(subject.changes or (), key=lambda one: KINDS.index(one.kind))
        wanted = [one.sha256 for one in ordered[:_MOST_IMAGES]]
        if not wanted:
            return {}
        return thumbnails(find_images(self._source(report), wanted, self.track))

    def _source(self, report: Report) -> Path:
        recorded = report.data_folders[0] if report.data_folders else None
        source = self.data or (expand_home(recorded) if recorded else None)
        if source is None or not source.exists():
            raise DataError(
                f"{source or 'the images'}: not here; name their folder or CSV with --data, or "
                "leave out --with-images"
            )
        return source


def write_page(
    reports: Sequence[Path], html: Path | None, out: Path | None, shown: Shown | None = None
) -> Path:
    """Make a page of finished builds or benches.

    Args:
        reports: Their folders, or the `report.json` in them; at least one.
        html: File to write. Nothing else is touched then.
        out: Folder for a page of several reports.
        shown: Parts of each report to show; None: all that lies in its folder.

    Returns:
        The page. Without `html` and `out` it is the one in the folder, and its manifest has it.

    Raises:
        ArtifactError: There is no report, or a file of the page's name is somebody's own, or it is
            a file of a build, or `html` is in a folder that is not there. Nothing is written then.
        RecipeError: Several reports, and nowhere to write; or a page for everybody in the folder of
            a build, where the next one would have the paths again.
        DataError: As for `Shown.of`.
    """
    shown = shown or Shown()
    folders = [_folder_of(path) for path in reports]
    if html is None and out is None:
        if len(folders) > 1:
            raise RecipeError(
                "several reports go on a page of their own: pass -o DIR, or --html FILE"
            )
        if shown.public:
            raise RecipeError(
                "--public makes a page to give away, not one of this folder: pass --html FILE"
            )
        return renew_page(folders[0], lambda report: to_html([shown.of(report, folders[0])]))
    page = html if html is not None else (out or Path()) / PAGE
    require_apart([page], reports, make_folder=html is None)
    if os.path.lexists(page) and not is_own_page(page):
        raise ArtifactError(
            f"{page}: is not a page that edge-convnext made; move it, or choose another name"
        )
    subjects = [shown.of(Report.read(folder / REPORT), folder) for folder in folders]
    text = to_html(subjects)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(page, text)
    return page


def _folder_of(report: Path) -> Path:
    """The folder that a user names, or that holds the `report.json` that a user names.

    Raises:
        ArtifactError: It is neither.
    """
    if report.is_dir():
        return report
    if report.name != REPORT or not report.is_file():
        what = "is another file" if report.exists() else "no such file or folder"
        here = report.parent / REPORT
        beside = f"; {here} is there" if here.is_file() else ""
        raise ArtifactError(
            f"{report}: {what}; pass the folder of a build, or the {REPORT} in it{beside}"
        )
    return report.parent

"""The folder of a build: its files by name, the report in it, and what may be added later."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
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
from edge_convnext.report.file_names import CALIBRATION, PREDICTIONS, REPORT
from edge_convnext.report.manifest import (
    MANIFEST,
    PAGE,
    TABLES,
    check_unchanged,
    is_unchanged,
    read_manifest,
    write_manifest,
)
from edge_convnext.report.owned import (
    has_users_recipe,
    is_own_page,
    require_own_page,
    require_own_recipe,
)
from edge_convnext.report.recipe_file import RECIPE_FILE, recipe_text

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report

__all__ = [
    "amend_report",
    "check_addable",
    "check_writable",
    "files_in",
    "find_old_files",
    "is_build_file",
    "renew_page",
    "write_report",
    "write_reports",
]

_RENEWED = (TABLES, PAGE, RECIPE_FILE)  # made from `report.json`, anew with each addition


_MODELS = tuple(f"model.{precision}" for precision in get_args(Precision))


_PRECISIONS = "|".join(get_args(Precision))


# By their full names: the folder may hold a user's own `model.best.onnx`.
_OURS = (
    *(f"{model}.onnx" for model in _MODELS),
    *(f"{model}{TFLITE_SUFFIX}" for model in _MODELS),
    CALIBRATION,
    PREDICTIONS,
    *_RENEWED,
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
    from edge_convnext.report.html.page import require_renderer

    require_writable(folder)
    find_old_files(folder)
    require_renderer()


def write_reports(report: Report, new: Path, folder: Path) -> None:
    """Write `report.json` and what is made from it; the caller writes the manifest.

    Args:
        report: Report of a build or of a board; a board's has no recipe of its own.
        new: Folder to write into.
        folder: Folder with the predictions, which the page shows. A recipe of the user's there
            stays.
    """
    from edge_convnext.report.html.page import Subject, to_html

    write_text_atomic(new / TABLES, _tables(report, folder))
    write_text_atomic(new / PAGE, to_html([Subject.of(report, folder)]))
    if report.board is None and not has_users_recipe(folder):
        write_text_atomic(new / RECIPE_FILE, recipe_text(report.repeatable_recipe))
    report.write(new / REPORT)


def _tables(report: Report, folder: Path) -> str:
    from edge_convnext.report.markdown import to_markdown

    return to_markdown(report, None if has_users_recipe(folder) else RECIPE_FILE)


def write_report(report: Report, folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Write all forms of a build's report, and the manifest that has their hashes.

    Args:
        report: Report of the build.
        folder: Folder of the build; the caller holds its lock.
        known: Hashes of unchanged files, as for `manifest.write_manifest`.

    Raises:
        ArtifactError: There is no room on the disk; the older report is as it was.
    """
    with written_beside(folder) as new:
        write_reports(report, new, folder)
        made = {path.name for path in new.iterdir()}
        files = [path for path in files_in(folder) if path.name not in made]
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
        ArtifactError: A file is missing or was changed since, a page there is nobody's of ours, or
            the recipe there was edited.
    """
    require_own_page(folder)
    require_own_recipe(folder)
    outputs = {file.path: file.sha256 for file in report.outputs}
    # What is made from the report is made anew, so an edited table or page does not stay.
    found = check_unchanged(folder, outputs, _RENEWED)
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


def renew_page(folder: Path, make: Callable[[Report], str]) -> Path:
    """Write the page of a finished build or bench anew, and `report.md` where it was changed.

    Of the other files nothing changes.

    Args:
        folder: Folder with a report.
        make: Function that makes the page of the report that is there.

    Returns:
        The page.

    Raises:
        ArtifactError: There is no report or no manifest, a file was changed since, or a page there
            is nobody's of ours. Nothing is written then.
    """
    from edge_convnext.report.contract import Report

    with hold_lock(folder.resolve()):
        report = Report.read(folder / REPORT)
        read_manifest(folder)
        require_own_page(folder)
        outputs = {file.path: file.sha256 for file in report.outputs}
        anew = [PAGE, *([] if is_unchanged(folder, TABLES) else [TABLES])]
        known = check_unchanged(folder, outputs, anew)
        with written_beside(folder) as new:
            if TABLES in anew:
                write_text_atomic(new / TABLES, _tables(report, folder))
            write_text_atomic(new / PAGE, make(report))
            write_manifest(folder, [folder / name for name in known], known, new)
            swap(new, folder, (), MANIFEST)
    return folder / PAGE


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


def is_build_file(path: Path, folder: Path) -> bool:
    """Whether a build in `folder` would take a file at `path` for one that it writes itself."""
    return path.name in _OURS and path.parent.resolve() == folder.resolve()


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
            names |= {REPORT, TABLES, MANIFEST} | {file.path for file in report.outputs}
            names |= {PAGE} if is_own_page(folder / PAGE) else set()
    return names

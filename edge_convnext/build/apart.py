"""A file that a user asks for takes the place of nothing that is read, nor of a build's file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import why_unwritable
from edge_convnext.data.formats import is_image_file
from edge_convnext.report.file_names import REPORT
from edge_convnext.report.manifest import MANIFEST, PAGE, read_manifest

__all__ = ["require_apart", "require_folder"]


def require_apart(
    files: Iterable[Path | None], sources: Iterable[Path], *, make_folder: bool = False
) -> None:
    """Refuse to write where something else would be lost, before any work.

    Args:
        files: Files to write; None stands for one that was not asked for.
        sources: Files that are read, and folders of reports or images.
        make_folder: True where a missing folder will be made.

    Raises:
        ArtifactError: Two of the files are one; one is read, or an image of a folder that is, or
            a build's own; or it can't be written.
    """
    asked = [file for file in files if file is not None]
    folders = list(sources)
    read = {name for source in folders for one in (source, source / REPORT) for name in _names(one)}
    taken: set[Path] = set()
    for file in asked:
        if file.is_dir():
            example = file / f"output{file.suffix}"
            raise ArtifactError(f"{file}: is a folder; name a file in it, such as {example}")
        names = _names(file)
        if names & read or _is_image_of(file, folders):
            raise ArtifactError(f"{file}: is read by this command; choose another file to write")
        if names & taken:
            raise ArtifactError(f"{file}: two outputs would be this one file; name two files")
        taken |= names
        for name in names:
            _refuse_of_build(file, name)
        if not make_folder:
            require_folder(file)


def require_folder(file: Path) -> None:
    """Refuse a file whose folder is not there: a slip in its name would make a folder.

    Raises:
        ArtifactError: There is no such folder, or no file can be made in it.
    """
    parent = file.parent
    if not parent.is_dir():
        why = f"{parent} is no folder" if parent.exists() else f"there is no folder {parent}"
        make = "" if parent.exists() else "make it, or "
        raise ArtifactError(f"{file}: can't be written: {why}; {make}choose another place for it")
    if reason := why_unwritable(parent.absolute()):
        raise ArtifactError(f"{file}: can't be written ({reason}); choose another place for it")


def _names(path: Path) -> set[Path]:
    """A path as it is called, and as it is: of a link, either may be what is read."""
    return {Path(os.path.abspath(path)), path.resolve()}  # noqa: PTH100 - `absolute` keeps `..`


def _is_image_of(file: Path, sources: Iterable[Path]) -> bool:
    if not (file.is_file() and is_image_file(file)):
        return False
    above = {parent for name in _names(file) for parent in name.parents}
    return any(source.is_dir() and _names(source) & above for source in sources)


def _refuse_of_build(file: Path, name: Path) -> None:
    """Refuse a file that the manifest beside it has, or the one above it, for `cpu/` and `gpu/`."""
    for folder in (name.parent, name.parent.parent):
        if not (folder / MANIFEST).exists():
            continue
        inside = name.relative_to(folder).as_posix()
        if inside == PAGE:  # of an older build too, which has none yet
            raise ArtifactError(
                f"{file}: is the page of the build there, which its manifest has; renew it with "
                f"edge-convnext report {file.parent}, or choose another name"
            )
        with suppress(ArtifactError):  # another tool's manifest.json says nothing
            listed = read_manifest(folder)
            if inside in listed or inside == MANIFEST:
                break
    else:
        return
    raise ArtifactError(
        f"{file}: is a file of the build in {folder}, by its {MANIFEST}; choose another file to "
        "write"
    )

"""`manifest.json`: size and SHA-256 of every file of a build or a bench, and the check of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from edge_convnext.core.documents import read_document
from edge_convnext.core.errors import ArtifactError, shorten
from edge_convnext.core.files import AnyPath, sha256_file, write_text_atomic
from edge_convnext.core.marks import MARK

__all__ = [
    "MANIFEST",
    "PAGE",
    "TABLES",
    "FileCheck",
    "FileComparison",
    "check_unchanged",
    "compare_builds",
    "how_to_mend",
    "is_unchanged",
    "read_manifest",
    "require_unedited",
    "verify_build",
    "write_manifest",
]

MANIFEST = "manifest.json"
TABLES, PAGE = "report.md", "report.html"  # made from report.json, and made again
_SCHEMA = "edge-convnext/manifest/1"

# Files that differ between two builds of the same input, and why.
_VARIES: tuple[tuple[str, str], ...] = (
    ("report.json", "has timings, the date and seconds per stage"),
    (TABLES, "has timings, the date and seconds per stage"),
    (PAGE, "has timings, the date and seconds per stage"),
    ("*.engine", "a builder numbers and times what it compiles"),
    ("*.engine.json", "describes the engine"),
)


@dataclass(frozen=True)
class FileCheck:
    """One file of a manifest, as it was found."""

    path: str
    state: Literal["unchanged", "changed", "missing"]


@dataclass(frozen=True)
class FileComparison:
    """One file in two builds."""

    path: str
    state: Literal["identical", "varies", "different", "missing"]
    reason: str | None = None  # why such a file always varies


def write_manifest(
    folder: Path,
    files: Sequence[Path],
    known: Mapping[str, str] | None = None,
    new: Path | None = None,
) -> None:
    """Record files that lie in `folder`; equal files give equal bytes.

    Args:
        folder: Folder of the build.
        files: Files in it.
        known: SHA-256 by name of files that do not change; the others are hashed.
        new: Folder with more files that will be in `folder`; the manifest is written there.
    """
    entries = {}
    for path in files:
        name = path.relative_to(folder).as_posix()
        entries[name] = _entry(path, (known or {}).get(name))
    for path in new.iterdir() if new is not None else ():
        if path.name != MARK:
            entries[path.name] = _entry(path, None)
    fields = {"schema": _SCHEMA, "files": dict(sorted(entries.items()))}
    write_text_atomic((new or folder) / MANIFEST, json.dumps(fields, indent=1) + "\n")


def _entry(path: Path, sha256: str | None) -> dict[str, Any]:
    return {"sha256": sha256 or sha256_file(path), "bytes": path.stat().st_size}


def read_manifest(folder: Path) -> dict[str, str]:
    """SHA-256 by file name.

    Raises:
        ArtifactError: No manifest, or not one that a build wrote; a name in it leaves the folder.
    """
    path = folder / MANIFEST
    fields = read_document(
        path,
        _SCHEMA,
        "pass a folder that `edge-convnext build` finished",
        "build again",
        named="a manifest",
    )
    try:
        found = {str(name): str(entry["sha256"]) for name, entry in fields["files"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: not a manifest that a build wrote; build again") from error
    for name in found:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ArtifactError(f"{path}: '{shorten(name)}' is outside the build; build again")
    return found


def check_unchanged(
    folder: Path, outputs: Mapping[str, str], rewritten: Sequence[str]
) -> dict[str, str]:
    """Verify a build's checksums before adding to it, so that a damaged file is not signed as good.

    Args:
        folder: Folder of the build.
        outputs: SHA-256 by name, from its report.
        rewritten: Names of files that may have changed: they are made from others.

    Returns:
        SHA-256 by name of every file in the report and the manifest, without `rewritten`. After
        an addition that was killed there may be no manifest.

    Raises:
        ArtifactError: A file is missing, or has another hash.
    """
    recorded = read_manifest(folder) if (folder / MANIFEST).is_file() else {}
    # A file with equal hashes in both is hashed once.
    for name, sha256 in dict.fromkeys((*outputs.items(), *recorded.items())):
        if name not in rewritten and (state := _check(folder / name, sha256)) != "unchanged":
            raise ArtifactError(f"{folder / name}: {state} since the build; build again")
    kept = {**outputs, **recorded}
    return {name: sha256 for name, sha256 in kept.items() if name not in rewritten}


def require_unedited(report: Path) -> dict[str, str]:
    """Check that a build's or a board's report is as it was written, by the manifest beside it.

    The report has no hash of its own; only the manifest can show a change.

    Args:
        report: `report.json` of a build or of a board.

    Returns:
        SHA-256 by file name, of every file that the manifest has.

    Raises:
        ArtifactError: There is no manifest, or it is of another report, table or page.
    """
    manifest = report.with_name(MANIFEST)
    if not manifest.is_file():
        raise ArtifactError(
            f"{manifest}: is missing, and without it nothing shows whether {report.name} is as the "
            "build wrote it; keep the two together, or build again (a board's: bench again)"
        )
    recorded = read_manifest(report.parent)
    if report.name not in recorded:
        raise ArtifactError(f"{manifest}: does not name {report.name}; build again")
    for name in (report.name, TABLES, PAGE):
        if name in recorded:
            _require_unchanged(report.with_name(name), recorded[name], manifest)
    return recorded


def _require_unchanged(path: Path, sha256: str, manifest: Path) -> None:
    state, mend = _check(path, sha256), how_to_mend(path.parent, [path.name])
    if state == "missing":
        raise ArtifactError(f"{path}: is missing, and {manifest} is about it; {mend}")
    if state == "changed":
        raise ArtifactError(f"{path}: is not the file that {manifest} is about; {mend}")


def how_to_mend(folder: Path, names: Collection[str]) -> str:
    """What to do where files of a build are missing or changed.

    Args:
        folder: Folder of the build.
        names: Their names; at least one.
    """
    if {TABLES, PAGE}.issuperset(names):
        return f"make it again with `edge-convnext report {shlex.quote(str(folder))}`"
    return "build again"


def is_unchanged(folder: Path, name: str) -> bool:
    """Whether a file is as the manifest says; one that the manifest does not name is.

    Raises:
        ArtifactError: As for `read_manifest`.
    """
    sha256 = read_manifest(folder).get(name)
    return sha256 is None or _check(folder / name, sha256) == "unchanged"


def verify_build(folder: AnyPath) -> tuple[FileCheck, ...]:
    """Hash every file of a build again.

    Raises:
        ArtifactError: As for `read_manifest`.
    """
    folder = Path(folder)
    return tuple(
        FileCheck(name, _check(folder / name, sha256))
        for name, sha256 in read_manifest(folder).items()
    )


def compare_builds(folder: Path, other: Path) -> tuple[FileComparison, ...]:
    """Compare the files of two builds, byte for byte.

    Raises:
        ArtifactError: As for `read_manifest`.
    """
    names = dict.fromkeys([*read_manifest(folder), *read_manifest(other)])
    return tuple(_compare(name, folder / name, other / name) for name in names)


def _check(path: Path, sha256: str) -> Literal["unchanged", "changed", "missing"]:
    if not path.is_file():
        return "missing"
    return "unchanged" if sha256_file(path) == sha256 else "changed"


def _compare(name: str, here: Path, there: Path) -> FileComparison:
    if not (here.is_file() and there.is_file()):
        return FileComparison(name, "missing")
    if sha256_file(here) == sha256_file(there):
        return FileComparison(name, "identical")
    for pattern, reason in _VARIES:
        if fnmatch(Path(name).name, pattern):
            return FileComparison(name, "varies", reason)
    return FileComparison(name, "different")

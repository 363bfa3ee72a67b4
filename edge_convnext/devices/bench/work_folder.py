"""The folder that a bench writes to: check it before, clear it after a failure."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from edge_convnext.core.errors import ArtifactError, EdgeConvNextError
from edge_convnext.core.marks import MARK, is_marked, remove_marked
from edge_convnext.core.swap import require_writable
from edge_convnext.devices.bench.publish import find_old
from edge_convnext.report.contract import Report
from edge_convnext.report.file_names import REPORT

__all__ = ["UNPACKED", "check_folder", "drop_others", "drop_unpacked", "removed_on_failure"]

UNPACKED = "bundle"


@contextlib.contextmanager
def removed_on_failure(out: Path, work: Path) -> Iterator[None]:
    """Remove what the block created if it fails; what was there before stays."""
    known = [path for path in (out, work.parent, work) if path.exists()]
    unpacked = work / UNPACKED
    whole = unpacked.exists()
    try:
        yield
    except (EdgeConvNextError, OSError):
        if not whole:
            shutil.rmtree(unpacked, ignore_errors=True)
        for path in (work, work.parent, out):
            if path not in known:
                with contextlib.suppress(OSError):  # it is not empty, or was never created
                    (path / MARK).unlink(missing_ok=True)
                    path.rmdir()
        raise


def drop_others(work: Path) -> None:
    """Remove work folders of other bundles' benches next to `work`; engines and timings stay."""
    if work.parent.is_dir():
        for other in work.parent.iterdir():
            if other.name != work.name:
                remove_marked(other)


def drop_unpacked(work: Path) -> None:
    """Remove the unpacked bundle of a finished run, which the next one unpacks again."""
    if is_marked(work):
        shutil.rmtree(work / UNPACKED, ignore_errors=True)


def check_folder(out: Path) -> None:
    """Refuse, before any engine is built, a folder that holds a build or can't be written to."""
    report = out / REPORT
    if report.is_file() and Report.read(report).board is None:
        raise ArtifactError(f"{out}: is a build's folder; choose another --out")
    require_writable(out)
    find_old(out)
    out.mkdir(parents=True, exist_ok=True)

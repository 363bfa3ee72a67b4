"""What is asked of a finished build."""

from __future__ import annotations

from edge_convnext.core.files import sha256_file
from edge_convnext.report.contract import Report
from edge_convnext.report.stages import STAGES


def check_report(report, folder):
    """What is on disk is what the report says."""
    assert Report.read(folder / "report.json") == report
    assert tuple(stage.name for stage in report.stages) == STAGES
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.relative_to(folder).as_posix() for path in files} == {
        *(file.path for file in report.outputs),
        "report.json",
        "report.md",
        "recipe.yaml",
        "report.html",
        "manifest.json",
    }
    for file in (*report.outputs, *artifacts_of(report)):
        path = folder / file.path
        assert sha256_file(path) == file.sha256
        assert path.stat().st_size == file.bytes


def statuses(report):
    return {stage.name: stage.status for stage in report.stages}


def files_of(report):
    return {file.path for file in report.outputs}


def artifacts_of(report):
    """Every file that a stage or one of its variants names."""
    entries = [entry for stage in report.stages for entry in (stage, *stage.variants)]
    return [entry.artifact for entry in entries if entry.artifact is not None]

"""The file that a build's verdict is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report.measured import smallest_batch

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report

__all__ = ["shipped_file", "shipped_words"]

_SUFFIXES = ("onnx", "tflite")


def shipped_file(report: Report) -> str | None:
    """Name of the file that ships, relative to the build's folder; None where nothing says it.

    The verdict is on one candidate, which may be any of the build's files: `model.int8.tflite`
    where LiteRT is the fastest, though `model.int8.onnx` lies beside it.
    """
    if report.verdict.ship == "undecided":
        return None
    there = {file.path for file in report.outputs}
    file = (_shipped_name(report) or "").split(" ", 1)[0]
    if file in there:
        return file
    names = (f"model.{report.verdict.ship}.{suffix}" for suffix in _SUFFIXES)
    return next((name for name in names if name in there), None)


def shipped_words(report: Report) -> str | None:
    """The file that ships, its size and what it was measured in; None where nothing ships."""
    path = shipped_file(report)
    if path is None:
        return None
    size_mb = next(file.bytes for file in report.outputs if file.path == path) / 1e6
    told = f"The file that ships: {path}, {size_mb:.1f} MB"
    name, benchmark = _shipped_name(report), report.benchmark
    row = benchmark.row(name, smallest_batch(benchmark)) if benchmark is not None else None
    if row is None or not row.artifact.startswith(f"{path} "):
        return told
    hint = f" with {row.precision_hint}" if row.precision_hint else ""
    return f"{told}, measured in {row.runtime}{hint}"


def _shipped_name(report: Report) -> str | None:
    """Artifact name of the candidate that the verdict is on; None where none was timed."""
    benchmark = report.benchmark
    if benchmark is None:
        return None
    chosen = report.verdict.ship == report.recipe.get("precision")
    return benchmark.chosen if chosen else benchmark.best_float

"""The file that a build's verdict is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report

__all__ = ["shipped_file"]

_SUFFIXES = ("onnx", "tflite")


def shipped_file(report: Report) -> str | None:
    """Name of the file that ships, relative to the build's folder; None where nothing says it.

    The verdict is on one candidate, which may be any of the build's files: `model.int8.tflite`
    where LiteRT is the fastest, though `model.int8.onnx` lies beside it.
    """
    verdict, benchmark = report.verdict, report.benchmark
    if verdict.ship == "undecided":
        return None
    there = {file.path for file in report.outputs}
    if benchmark is not None:
        wanted = report.recipe.get("precision")
        name = benchmark.chosen if verdict.ship == wanted else benchmark.best_float
        file = (name or "").split(" ", 1)[0]
        if file in there:
            return file
    names = (f"model.{verdict.ship}.{suffix}" for suffix in _SUFFIXES)
    return next((name for name in names if name in there), None)

"""The stages of a board's report: those that ran there; the others ran in the build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import file_of
from edge_convnext.report.described import FileReport
from edge_convnext.report.stages import StageReport, VariantReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_convnext.devices.bench.engines import BuiltEngine
    from edge_convnext.devices.bundle import Unpacked
    from edge_convnext.report.described import LeftOutReport

__all__ = ["board_stages"]

_IN_THE_BUILD = "ran in the build, see its report"
_RAN = ("done", "cached")


def board_stages(
    unpacked: Unpacked,
    engines: Sequence[BuiltEngine],
    left_out: Sequence[LeftOutReport],
    evaluate_seconds: float | None,
    race_seconds: float,
    out: Path,
) -> tuple[StageReport, ...]:
    """List every stage of the build's chain, in its order.

    Args:
        unpacked: The bundle.
        engines: Engines built on the board, now or in an earlier run.
        left_out: Candidates that could not be built or run.
        evaluate_seconds: Seconds of the evaluation; None if the bundle has no evaluation images.
        race_seconds: Seconds of the benchmark.
        out: The report's folder.
    """
    evaluate = StageReport(name="evaluate", status="done", seconds=evaluate_seconds)
    if evaluate_seconds is None:
        why = "the bundle has no evaluation images"
        evaluate = StageReport(name="evaluate", status="not_run", reason=why)
    own = {
        "engine": _engine(unpacked, engines, left_out, out),
        "evaluate": evaluate,
        "benchmark": StageReport(name="benchmark", status="done", seconds=race_seconds),
    }
    return tuple(own.get(stage.name) or _elsewhere(stage) for stage in unpacked.report.stages)


def _elsewhere(stage: StageReport) -> StageReport:
    if stage.status in _RAN:
        return StageReport(name=stage.name, status="not_run", reason=_IN_THE_BUILD)
    return StageReport(name=stage.name, status=stage.status, reason=stage.reason)


def _engine(
    unpacked: Unpacked,
    engines: Sequence[BuiltEngine],
    left_out: Sequence[LeftOutReport],
    out: Path,
) -> StageReport:
    if engines:
        return StageReport(
            name="engine",
            status="cached" if all(one.reused for one in engines) else "done",
            seconds=sum(one.seconds for one in engines),
            variants=tuple(_variant(one, out) for one in engines),
        )
    graphs = {graph.name for graph in unpacked.manifest.graphs if graph.kind != "cpu"}
    if not graphs:
        why = "the bundle has no graphs for TensorRT"
    else:
        reasons = (one.reason for one in left_out if file_of(one.artifact) in graphs)
        why = next(reasons, "the TensorRT here reads none of the bundle's graphs")
    return StageReport(name="engine", status="not_run", reason=why)


def _variant(engine: BuiltEngine, out: Path) -> VariantReport:
    return VariantReport(
        form=engine.graph.form,
        placement=engine.graph.placement,
        precision=engine.precision,
        target="rtx" if engine.runtime == "tensorrt_rtx" else "tensorrt",
        status="cached" if engine.reused else "done",
        seconds=engine.seconds,
        artifact=FileReport.of(engine.path, out),
    )

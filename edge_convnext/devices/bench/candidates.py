"""The candidates on a board: every graph of a bundle in every runtime that can run it there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.devices.int8_support import saturates
from edge_convnext.measure.candidates import Candidate, merge_settings
from edge_convnext.report.described import LeftOutReport
from edge_convnext.runtimes.load import (
    exact_settings,
    find_runtime,
    has_bf16,
    hints_here,
    install_command,
    runtime_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_convnext.core.artifacts import GraphFormat, RuntimeName
    from edge_convnext.devices.bench.engines import BuiltEngine
    from edge_convnext.devices.bundle import Unpacked
    from edge_convnext.devices.bundle.manifest import BundledGraph
    from edge_convnext.devices.bundle.unpacked import Extracted
    from edge_convnext.runtimes import PrecisionHint

__all__ = [
    "cpu_candidate",
    "cpu_candidates",
    "engine_candidate",
    "fused_for_others",
    "list_candidates",
    "list_hints",
]

_USUAL: GraphFormat = "qdq"


def list_candidates(
    unpacked: Unpacked,
    runtimes: Sequence[RuntimeName],
    engines: Iterable[BuiltEngine],
    flags: Iterable[str],
) -> list[Candidate]:
    """List everything that may run on this machine.

    Args:
        unpacked: The bundle.
        runtimes: Runtimes to measure.
        engines: Engines that were built here.
        flags: Features of this CPU.
    """
    return [
        *cpu_candidates(unpacked, runtimes, has_bf16(runtimes), overflows=saturates(flags)),
        *(engine_candidate(engine) for engine in engines),
    ]


def cpu_candidates(
    unpacked: Unpacked, runtimes: Sequence[RuntimeName], bf16: bool, *, overflows: bool = False
) -> list[Candidate]:
    """List the CPU graphs in each runtime, with the settings that the build timed them with.

    Args:
        unpacked: The bundle.
        runtimes: Runtimes to measure.
        bf16: True if a runtime may compute floats in bfloat16 on this CPU.
        overflows: True if the usual INT8 products lose bits on this CPU; exact ones are listed too.
    """
    return [
        cpu_candidate(unpacked, graph, runtime, hint, settings)
        for runtime in runtimes
        for graph in unpacked.manifest.graphs
        if graph.kind == "cpu" and graph.format in find_runtime(runtime).FORMATS
        for hint in list_hints(graph, runtime, bf16)
        for settings in _settings(graph, runtime, overflows=overflows)
    ]


def fused_for_others(unpacked: Unpacked, runtimes: Sequence[RuntimeName]) -> list[LeftOutReport]:
    """List the CPU graphs that are written for one runtime, in each that does not load them.

    A model in a format of its own is listed where no runtime loads it; that others don't is plain.
    """
    graphs = [graph for graph in unpacked.manifest.graphs if graph.kind == "cpu"]
    fused = [
        LeftOutReport(
            artifact=f"{graph.name} {runtime}",
            reason=f"its products are fused for ONNX Runtime, and {find_runtime(runtime).LABEL} "
            "does not load those",
        )
        for runtime in runtimes
        for graph in graphs
        if _USUAL in find_runtime(runtime).FORMATS
        and graph.format not in (*find_runtime(runtime).FORMATS, *_own_formats())
    ]
    return fused + [
        LeftOutReport(
            artifact=graph.name,
            reason=f"{find_runtime(own).LABEL} is not measured here; {install_command(own)}",
        )
        for graph in graphs
        if (own := _own_formats().get(graph.format)) and own not in runtimes
    ]


def _own_formats() -> dict[GraphFormat, RuntimeName]:
    """The runtime of each format that is no ONNX graph."""
    names = (one for one in runtime_names("graphs") if _USUAL not in find_runtime(one).FORMATS)
    return {format: name for name in names for format in find_runtime(name).FORMATS}


def engine_candidate(engine: BuiltEngine) -> Candidate:
    """Make the candidate of an engine that was built here."""
    graph = engine.graph
    return Candidate(
        OnnxModel(engine.path, engine.precision, graph.form, graph.placement),
        engine.key,
        engine.runtime,
        batch=graph.batch,
        title=engine.name,
    )


def cpu_candidate(
    unpacked: Extracted,
    graph: BundledGraph,
    runtime: RuntimeName,
    hint: PrecisionHint,
    settings: tuple[tuple[str, str], ...],
) -> Candidate:
    """Make the candidate of one graph in one CPU runtime."""
    path = unpacked.graph_path(graph)
    made = Candidate(
        OnnxModel(path, graph.precision, graph.form, graph.placement, graph.quantized_ops or 0),
        unpacked.manifest.member(graph.file).sha256,
        runtime,
        hint,
        settings,
        batch=graph.batch,
    )
    return replace(made, title=made.label(graph.name))


def list_hints(graph: BundledGraph, runtime: RuntimeName, bf16: bool) -> tuple[PrecisionHint, ...]:
    """Types that a runtime computes a graph's floats in."""
    return ("f32",) if graph.precision == "fp16" else hints_here(runtime, bf16=bf16)


def _settings(
    graph: BundledGraph, runtime: RuntimeName, *, overflows: bool
) -> list[tuple[tuple[str, str], ...]]:
    stated = tuple(sorted(graph.settings.get(runtime, {}).items()))
    usual = [(), stated]
    if overflows and graph.precision == "int8":
        usual += [merge_settings(one, exact_settings(runtime)) for one in usual]
    return list(dict.fromkeys(usual))

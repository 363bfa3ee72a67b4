"""What a board measures: every graph of a bundle in every runtime that can run it there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.measure.benchmark import Candidate
from edge_convnext.runtimes.load import find_runtime

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import RuntimeName
    from edge_convnext.devices.bench.engines import BuiltEngine
    from edge_convnext.devices.bundle import Unpacked
    from edge_convnext.devices.bundle.manifest import BundledGraph
    from edge_convnext.runtimes import PrecisionHint

__all__ = ["Entry", "cpu_entries", "engine_entry"]


@dataclass(frozen=True)
class Entry:
    """One graph in one runtime."""

    candidate: Candidate
    graph: BundledGraph
    identity: str  # SHA-256 of the graph, or an engine's key: equal ones give equal logits here
    on_gpu: bool

    @property
    def name(self) -> str:
        """Unique within a bench: such as `model.int8.onnx openvino f32`."""
        return self.candidate.name

    def fits(self, batch: int) -> bool:
        """Whether it can be timed at this batch size."""
        return self.graph.batch in (None, batch)


def cpu_entries(unpacked: Unpacked, runtimes: Sequence[RuntimeName], bf16: bool) -> list[Entry]:
    """The CPU graphs in each runtime, with the settings that the build timed them with.

    Args:
        unpacked: The bundle.
        runtimes: Those to measure.
        bf16: Whether a runtime may compute floats in bfloat16 on this CPU.
    """
    return [
        _cpu_entry(unpacked, graph, runtime, hint, settings)
        for runtime in runtimes
        for graph in unpacked.manifest.graphs
        if graph.kind == "cpu" and graph.format in find_runtime(runtime).FORMATS
        for hint in _hints(graph, runtime, bf16)
        for settings in _settings(graph, runtime)
    ]


def engine_entry(engine: BuiltEngine) -> Entry:
    """An engine that was built here."""
    graph = engine.graph
    candidate = Candidate(
        name=engine.name,
        path=engine.path,
        precision=engine.precision,
        form=graph.form,
        placement=graph.placement,
        runtime=engine.runtime,
    )
    return Entry(candidate, graph, engine.key, on_gpu=True)


def _cpu_entry(
    unpacked: Unpacked,
    graph: BundledGraph,
    runtime: RuntimeName,
    hint: PrecisionHint,
    settings: tuple[tuple[str, str], ...],
) -> Entry:
    shown = "".join(f"+{key}={value}" for key, value in settings)
    candidate = Candidate(
        name=f"{graph.name} {runtime} {hint}{shown}",
        path=unpacked.graph_path(graph),
        precision=graph.precision,
        form=graph.form,
        placement=graph.placement,
        runtime=runtime,
        precision_hint=hint,
        settings=settings,
    )
    return Entry(candidate, graph, unpacked.manifest.member(graph.file).sha256, on_gpu=False)


def _hints(graph: BundledGraph, runtime: RuntimeName, bf16: bool) -> Iterator[PrecisionHint]:
    yield "f32"
    if bf16 and "bf16" in find_runtime(runtime).HINTS and graph.precision != "fp16":
        yield "bf16"


def _settings(graph: BundledGraph, runtime: RuntimeName) -> Iterator[tuple[tuple[str, str], ...]]:
    yield ()
    if stated := graph.settings.get(runtime):
        yield tuple(sorted(stated.items()))

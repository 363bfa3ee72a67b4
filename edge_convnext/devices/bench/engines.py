"""Engines built on the board: which graph is for which builder, and which engines are kept.

A builder is anything with the methods of `EngineBuilder`. Finished engines stay in the work folder
under a key of everything that decides them, so an interrupted run can continue. All builds of one
runtime share one timing cache.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.runtimes.tensorrt.sidecar import sidecar_path

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import Precision
    from edge_convnext.devices.bundle.manifest import BundledGraph

__all__ = [
    "BuiltEngine",
    "EngineBuilder",
    "EngineFailure",
    "build_engines",
    "graphs_for",
]

_FIRST_TYPED = 10  # major version of TensorRT that reads opset 20 and typed networks


class EngineBuilder(Protocol):
    """A TensorRT that builds and runs on this machine's GPU."""

    runtime: str  # the runtime that runs the engine: "tensorrt" or "tensorrt_rtx"
    version: str  # the builder's version: "10.3.0.30"
    device: str  # GPU, compute capability and driver, which an engine is tied to
    flags: tuple[str, ...]  # everything else that decides an engine

    def build(
        self,
        graph: BundledGraph,
        source: Path,
        output: Path,
        precision: Precision,
        timing_cache: Path,
    ) -> None:
        """Build `output` from the file `source`, and the sidecar next to it.

        `precision` is the engine's. For an opset 17 graph with a float32 body it sets the
        builder's flags; for a typed graph it is the graph's precision.

        Raises:
            EdgeConvNextError: The builder refused the graph, crashed or took too long.
        """
        ...


@dataclass(frozen=True)
class BuiltEngine:
    """A finished engine."""

    graph: BundledGraph
    path: Path
    precision: Precision  # the engine's: FP16 if the graph's float32 body was built so
    runtime: str
    key: str
    seconds: float
    reused: bool

    @property
    def name(self) -> str:
        """Unique within a bench."""
        return _name(self.graph, self.runtime, self.precision)


@dataclass(frozen=True)
class EngineFailure:
    """A graph that could not be built into an engine."""

    graph: BundledGraph
    runtime: str
    precision: Precision  # the precision that the engine should have had
    reason: str

    @property
    def name(self) -> str:
        """Unique within a bench."""
        return _name(self.graph, self.runtime, self.precision)


def _name(graph: BundledGraph, runtime: str, precision: Precision) -> str:
    """Name an engine; its precision is part of the name if it is not the graph's."""
    own = precision == graph.precision
    return f"{graph.name} {runtime}" if own else f"{graph.name} {runtime} {precision}"


def graphs_for(
    builder: EngineBuilder, graphs: Sequence[BundledGraph]
) -> list[tuple[BundledGraph, Precision]]:
    """List the graphs that a builder reads, and the precision of each engine.

    TensorRT for RTX and TensorRT 10 and later take the typed graphs. TensorRT 8.6 reads opset 17
    and chooses half precision by a flag. So its float graph becomes an FP16 engine too, the rival
    that INT8 has to beat. Every builder makes the FP32 engine, the reference, from that float
    graph.
    """
    major = int(builder.version.partition(".")[0])
    typed = builder.runtime == "tensorrt_rtx" or major >= _FIRST_TYPED
    read: list[tuple[BundledGraph, Precision]] = []
    for graph in graphs:
        if graph.kind == "opset17" and graph.precision == "fp32":
            read.append((graph, "fp32"))
            if not typed:
                read.append((graph, "fp16"))
        elif graph.kind == ("typed20" if typed else "opset17"):
            read.append((graph, graph.precision))
    return read


def build_engines(
    builder: EngineBuilder,
    graphs: Sequence[tuple[BundledGraph, Path, str]],
    folder: Path,
) -> tuple[list[BuiltEngine], list[EngineFailure]]:
    """Build an engine from every graph that suits a builder, or take the one of an earlier run.

    Args:
        builder: Builder of one runtime.
        graphs: The graphs, each with its file and its SHA-256.
        folder: Folder of finished engines and of the timing cache.
    """
    files = {graph.name: (path, sha256) for graph, path, sha256 in graphs}
    built: list[BuiltEngine] = []
    failed: list[EngineFailure] = []
    folder.mkdir(parents=True, exist_ok=True)
    timing_cache = folder / f"{builder.runtime}.timing"
    for graph, precision in graphs_for(builder, [graph for graph, _, _ in graphs]):
        path, sha256 = files[graph.name]
        key = engine_key(builder, sha256, precision)
        output = folder / f"{key[:32]}.engine"
        note = sidecar_path(output)
        started = time.perf_counter()
        reused = output.is_file() and note.is_file()
        if not reused:
            try:
                builder.build(graph, path, output, precision, timing_cache)
            except EdgeConvNextError as error:
                failed.append(EngineFailure(graph, builder.runtime, precision, str(error)))
                continue
        seconds = time.perf_counter() - started
        built.append(BuiltEngine(graph, output, precision, builder.runtime, key, seconds, reused))
    return built, failed


def engine_key(builder: EngineBuilder, onnx_sha256: str, precision: Precision) -> str:
    """Hash everything that decides an engine."""
    facts = [
        "engine/1",
        onnx_sha256,
        precision,
        builder.runtime,
        builder.version,
        builder.device,
        builder.flags,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

"""Profile one inference: a runtime's own times per layer, by part of the block.

Fused layers count for the part that has their weights, else for the part of most of their nodes.
The profiler slows the runtime a little, so its times are for analysis. To compare models, use
`benchmark`.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import ArtifactError, InferenceError
from edge_convnext.core.progress import Track, untracked
from edge_convnext.graph.file import read_proto
from edge_convnext.graph.safety import check_graph
from edge_convnext.measure.turns import infer_ms
from edge_convnext.networks.family import family_of_graph
from edge_convnext.networks.parts import PLAIN, Parts, part_of_node, part_of_nodes
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.interface import require_file
from edge_convnext.runtimes.load import load_profiler, load_runtime
from edge_convnext.runtimes.parts import parts_of_graph
from edge_convnext.runtimes.profiler import LayerTimes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto

    from edge_convnext.core.artifacts import RuntimeName

__all__ = [
    "GroupProfile",
    "LayerProfile",
    "ModelProfile",
    "find_part",
    "is_portable",
    "profile",
]

_QUANTIZERS = {"QuantizeLinear", "DequantizeLinear", "FakeQuantize"}
_MOVES = {"ReorderInput", "ReorderOutput", "Reorder", "Convert", "Cast"}
_INFERENCES_PER_ROUND = 5
_WARMUP = 3


@dataclass(frozen=True)
class LayerProfile:
    """One layer of a runtime's graph."""

    name: str  # the runtime's name of it
    part: str
    nodes: tuple[str, ...]  # nodes of the ONNX graph that it computes
    operation: str
    kernel: str
    dtype: str
    moved_bytes: int  # of weights and tensors that it reads and tensors that it writes, each once
    latency_ms_p50: float
    share_pct: float  # of the sum over all layers

    @property
    def bandwidth_gb_s(self) -> float | None:
        """Bytes moved per time; None for a layer that took less than the clock can show."""
        return self.moved_bytes / self.latency_ms_p50 / 1e6 if self.latency_ms_p50 else None


@dataclass(frozen=True)
class GroupProfile:
    """All layers of one part of the network."""

    part: str
    layers: int
    latency_ms: float  # sum of the layers' medians
    share_pct: float
    kernels: tuple[tuple[str, int], ...]  # kernel with dtype, and count; the most frequent first
    fused_into: tuple[tuple[str, int], ...]  # other part, and nodes of this one that it computes


@dataclass(frozen=True)
class ModelProfile:
    """One graph in one runtime at one batch size."""

    model: str
    runtime: str
    version: str
    precision_hint: str
    threads: int
    batch: int
    inferences: int  # number of profiled inferences
    latency_ms_p50: float  # of one call without the profiler
    profiled_ms_p50: float  # of one call with the profiler, interleaved with the others
    layers: tuple[LayerProfile, ...]  # in the order of execution
    parts: Parts = PLAIN  # parts of the network's family

    @property
    def layers_ms(self) -> float:
        """Sum over all layers; the rest of `latency_ms_p50` is spent outside of layers."""
        return sum(layer.latency_ms_p50 for layer in self.layers)

    @property
    def groups(self) -> tuple[GroupProfile, ...]:
        """Layers by part, in the order of `parts`; parts without layers and nodes are left out."""
        total = self.layers_ms or 1.0
        groups = []
        for part in self.parts.names:
            own = [layer for layer in self.layers if layer.part == part]
            elsewhere = Counter(
                layer.part
                for layer in self.layers
                for node in layer.nodes
                if layer.part != part and part_of_node(node, self.parts) == part
            )
            if own or elsewhere:
                kernels = Counter(f"{layer.kernel} {layer.dtype}".strip() for layer in own)
                spent = sum(layer.latency_ms_p50 for layer in own)
                groups.append(
                    GroupProfile(
                        part, len(own), spent, 100 * spent / total,
                        tuple(kernels.most_common()), tuple(elsewhere.most_common()),
                    )
                )  # fmt: skip
        return tuple(groups)

    def to_json(self) -> dict[str, Any]:
        """Plain values, sums and groups included."""
        groups = [asdict(group) for group in self.groups]
        own = {name: value for name, value in asdict(self).items() if name != "parts"}
        return {**own, "layers_ms": self.layers_ms, "groups": groups}


def profile(
    path: Path,
    runtime: RuntimeName,
    options: RuntimeOptions,
    rounds: int,
    track: Track = untracked,
) -> ModelProfile:
    """Measure a graph's layers in a runtime, and its latency without the profiler.

    Args:
        path: ONNX graph; its nodes are named `<module path>/<OpType>`.
        runtime: Runtime to run it in.
        options: Threads, batch (None is the exported one, or 1) and float precision.
        rounds: Rounds of five inferences each, with and without the profiler in turn.
        track: Shows the rounds.

    Raises:
        MissingDependencyError: The runtime is not installed.
        ArtifactError: There is no such file.
        InferenceError: The runtime refused the graph, or the graph has another batch size.
    """
    parts = parts_of_graph(read_proto(require_file(path), weights=False), path)
    with TemporaryDirectory() as folder:
        plain = load_runtime(runtime, path, options)
        profiler = load_profiler(runtime, path, options, Path(folder))
        described = plain.describe()
        images = _noise(path, options.batch or described.batch or 1)
        if described.batch not in (None, len(images)):
            raise InferenceError(
                f"{path}: was exported for batch {described.batch} and can't be profiled at batch "
                f"{len(images)}; pass --batch {described.batch}"
            )
        infer_ms(profiler, images, _WARMUP)
        plain_ms: list[float] = []
        profiled_ms: list[float] = []
        for _ in track(range(rounds), f"profiling {path.name} in {runtime}", rounds):
            infer_ms(plain, images, 1)
            plain_ms += infer_ms(plain, images, _INFERENCES_PER_ROUND)
            infer_ms(profiler, images, 1)
            profiled_ms += infer_ms(profiler, images, _INFERENCES_PER_ROUND)
        layers = profiler.take_layers()
    return ModelProfile(
        model=str(path),
        runtime=runtime,
        version=described.version,
        precision_hint=options.precision_hint or "f32",
        threads=described.threads,
        batch=len(images),
        inferences=len(profiled_ms),
        latency_ms_p50=statistics.median(plain_ms),
        profiled_ms_p50=statistics.median(profiled_ms),
        layers=_summarize(layers, parts),
        parts=parts,
    )


def find_part(layer: LayerTimes, parts: Parts) -> str:
    """The part that a layer's time counts for."""
    if layer.operation in _QUANTIZERS:
        return "quantize"
    if layer.operation in _MOVES:
        return "reorder"
    return part_of_nodes(layer.nodes or (layer.name,), parts)


def is_portable(path: Path) -> bool:
    """Whether a graph has only standard operators, and none of ONNX Runtime's own.

    Raises:
        ArtifactError: There is no such file.
    """
    return all(node.domain in ("", "ai.onnx") for node in _load_graph(path).node)


def _summarize(layers: Sequence[LayerTimes], parts: Parts) -> tuple[LayerProfile, ...]:
    medians = [statistics.median(layer.times_ms) for layer in layers]
    total = sum(medians) or 1.0
    return tuple(
        LayerProfile(
            layer.name, find_part(layer, parts), layer.nodes, layer.operation, layer.kernel,
            layer.dtype, layer.moved_bytes, median, 100 * median / total,
        )
        for layer, median in zip(layers, medians, strict=True)
    )  # fmt: skip


def _noise(path: Path, batch: int) -> NDArray[np.float32]:
    """Seeded noise of the graph's input size; see `built_models.race_models` on its time."""
    (images,) = _load_graph(path).input
    shape = [dimension.dim_value for dimension in images.type.tensor_type.shape.dim[1:]]
    return np.random.default_rng(0).standard_normal((batch, *shape)).astype(np.float32)


def _load_graph(path: Path) -> GraphProto:
    proto = read_proto(require_file(path), weights=False)
    check_graph(proto, path, _further(proto, path))
    return proto.graph


def _further(proto: ModelProto, path: Path) -> frozenset[str]:
    try:
        return family_of_graph(proto, path).operations
    except ArtifactError:
        return frozenset()

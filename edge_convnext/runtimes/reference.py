"""The model as it came: the truth that every graph made of it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.networks.family import family_of
from edge_convnext.runtimes import pytorch
from edge_convnext.runtimes.interface import Runtime, RuntimeOptions
from edge_convnext.runtimes.load import load_runtime

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import RuntimeName, Weights

__all__ = ["load_reference", "reference_runtime"]

_OF_GRAPHS = "onnxruntime"


def load_reference(weights: Weights, threads: int | None = None) -> Runtime:
    """Load weights as they were trained, or a graph as it came.

    Args:
        weights: Unfolded weights.
        threads: Threads of one inference; None leaves them to the runtime.

    Returns:
        The torch module in the form `raw`; for a family whose source is a graph, that file in ONNX
        Runtime.

    Raises:
        ArtifactError: The file is missing or damaged.
        MissingDependencyError: torch is not installed.
    """
    family = family_of(weights)
    if (graph := family.source_graph(weights)) is not None:
        return load_runtime(_OF_GRAPHS, graph, RuntimeOptions(threads=threads))
    return pytorch.TorchRuntime(family.build(weights, "raw"), threads)


def reference_runtime(weights: Weights) -> RuntimeName:
    """What `load_reference` runs them in: `torch`, or a key of `runtimes.load.RUNTIMES`."""
    return "torch" if family_of(weights).source_graph(weights) is None else _OF_GRAPHS

"""Layer times of OpenVINO: `PERF_COUNT`, and the graph as the CPU plugin runs it.

A layer is a node of that graph. It carries the names of the ONNX nodes it was fused from
(`originalLayersNames`), some with what a pass appended to them, and some that passes made up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edge_convnext.runtimes.layer_profile import LayerTimes
from edge_convnext.runtimes.ov import OpenVino

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.runtimes.interface import RuntimeOptions

__all__ = ["OpenVinoProfiler", "known_nodes"]


class OpenVinoProfiler(OpenVino):
    """`OpenVino` that keeps the time of every layer."""

    _EXTRA_OPTIONS: ClassVar[Mapping[str, str]] = {"PERF_COUNT": "YES"}

    def __init__(self, path: Path, options: RuntimeOptions) -> None:
        super().__init__(path, options)
        self._times: dict[str, list[float]] = {}
        self._kinds: dict[str, tuple[str, str]] = {}

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = super()._run(images)
        for layer in self._request.profiling_info:
            # Fused into another, or a constant: 0. So is a layer of less than a microsecond.
            milliseconds = layer.real_time.total_seconds() * 1e3
            self._times.setdefault(layer.node_name, []).append(milliseconds)
            if milliseconds:
                self._kinds[layer.node_name] = (layer.node_type, layer.exec_type)
        return logits

    def take_layers(self) -> list[LayerTimes]:
        """The layers of all inferences so far, in the order of execution."""
        import onnx

        graph = onnx.load(str(self._path), load_external_data=False).graph
        names = {node.name for node in graph.node}
        running = self._request.get_compiled_model().get_runtime_model()
        facts = {op.get_friendly_name(): _facts(op) for op in running.get_ordered_ops()}
        return [
            LayerTimes(
                name=name,
                nodes=known_nodes(facts.get(name, {}).get("originalLayersNames", ""), names),
                operation=operation,
                kernel=kernel,
                dtype=facts.get(name, {}).get("runtimePrecision", ""),
                times_ms=tuple(self._times[name]),
            )
            for name, (operation, kernel) in self._kinds.items()
        ]


def known_nodes(listed: str, names: set[str]) -> tuple[str, ...]:
    """The nodes of a graph among the original names of a layer.

    Args:
        listed: `stem.conv/Conv/WithoutBiases,stem.conv/Conv,Multiply_17493`.
        names: Of the graph's nodes.
    """
    found: dict[str, None] = {}
    for name in listed.split(","):
        while name and name not in names:
            name = name.rpartition("/")[0]
        if name:
            found[name] = None
    return tuple(found)


def _facts(operation: Any) -> Mapping[str, str]:
    return {key: value.astype(str) for key, value in operation.get_rt_info().items()}

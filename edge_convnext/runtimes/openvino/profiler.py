"""Layer times of OpenVINO: `PERF_COUNT`, and the graph as the CPU plugin runs it.

A layer is a node of that graph. It carries the names of the ONNX nodes it was fused from
(`originalLayersNames`), some with a suffix that a pass appended. If a pass split a node, such as a
LayerNormalization, the pieces have new names. They compute the nodes that no layer names and that
the next layer reads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from edge_convnext.graph.structure import PRODUCTS
from edge_convnext.runtimes.openvino.runner import OpenVino
from edge_convnext.runtimes.profiler import LayerTimes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto

    from edge_convnext.runtimes.interface import RuntimeOptions

__all__ = ["OpenVinoProfiler", "known_nodes", "map_layers"]

_NO_KERNEL = ("undef", "unknown")
_MOVES = {"Reorder", "Convert"}  # layers that the plugin inserts; they compute none of our nodes


class OpenVinoProfiler(OpenVino):
    """An `OpenVino` that records the time of every layer."""

    _EXTRA_OPTIONS: ClassVar[Mapping[str, str]] = {"PERF_COUNT": "YES"}

    def __init__(self, path: Path, options: RuntimeOptions) -> None:
        super().__init__(path, options)
        self._times_ms: dict[str, list[float]] = {}
        self._kernels: dict[str, tuple[str, str]] = {}

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = super()._run(images)
        for layer in self._request.profiling_info:
            milliseconds = layer.real_time.total_seconds() * 1e3
            self._times_ms.setdefault(layer.node_name, []).append(milliseconds)
            # A layer below 1 us has 0. So has one that never runs: it is fused into another one,
            # done in place, or a reorder between equal layouts.
            runs = milliseconds or layer.node_type not in _MOVES
            if runs and not layer.exec_type.startswith(_NO_KERNEL):
                self._kernels[layer.node_name] = (layer.node_type, layer.exec_type)
        return logits

    def take_layers(self) -> list[LayerTimes]:
        """Return the layers of all inferences so far, in the order of execution."""
        import onnx

        graph = onnx.load(str(self._path), load_external_data=False).graph
        running = self._request.get_compiled_model().get_runtime_model().get_ordered_ops()
        facts = {op.get_friendly_name(): _facts(op) for op in running}
        moved = {op.get_friendly_name(): _moved_bytes(op) for op in running}
        readers: dict[str, list[str]] = {}
        for op in running:
            for value in op.input_values():
                maker = value.get_node().get_friendly_name()
                readers.setdefault(maker, []).append(op.get_friendly_name())
        names = {node.name for node in graph.node}
        stated = {
            name: known_nodes(facts.get(name, {}).get("originalLayersNames", ""), names)
            for name, (operation, _) in self._kernels.items()
            if operation not in _MOVES
        }
        nodes = map_layers(stated, readers, graph)
        return [
            LayerTimes(
                name=name,
                nodes=nodes.get(name, ()),
                operation=self._kernels[name][0],
                kernel=self._kernels[name][1],
                dtype=facts.get(name, {}).get("runtimePrecision", ""),
                moved_bytes=moved.get(name, 0),
                times_ms=tuple(self._times_ms[name]),
            )
            for name in self._times_ms
            if name in self._kernels
        ]


def known_nodes(listed: str, names: set[str]) -> tuple[str, ...]:
    """Find the nodes of a graph among the original names of a layer.

    Args:
        listed: Names such as `stem.conv/Conv/WithoutBiases,stem.conv/Conv,Multiply_17493`.
        names: Names of the graph's nodes.
    """
    found: dict[str, None] = {}
    for name in listed.split(","):
        while name and name not in names:
            name = name.rpartition("/")[0]
        if name:
            found[name] = None
    return tuple(found)


def map_layers(
    stated: Mapping[str, tuple[str, ...]], readers: Mapping[str, Sequence[str]], graph: GraphProto
) -> dict[str, tuple[str, ...]]:
    """Map every layer to the nodes that it computes, also layers without stated nodes.

    Args:
        stated: Nodes by layer, as OpenVINO states them; empty for a layer where it states none.
        readers: Layers by the layer whose output they read.
        graph: The original ONNX graph.
    """
    makers = {value: node for node in graph.node for value in node.output}
    inputs = {node.name: list(node.input) for node in graph.node}
    claimed = {node for nodes in stated.values() for node in nodes}
    found = {}
    for layer, nodes in stated.items():
        # OpenVINO names a matrix product with a bias only by the Add.
        before = (makers.get(value) for node in nodes for value in inputs[node])
        products = [
            node.name
            for node in before
            if node is not None and node.op_type in PRODUCTS and node.name not in claimed
        ]
        found[layer] = (*nodes, *dict.fromkeys(products))
    claimed |= {node for nodes in found.values() for node in nodes}
    for layer in [layer for layer, nodes in found.items() if not nodes]:
        behind = _next_stated(layer, stated, readers)
        read = [value for reader in behind for node in found[reader] for value in inputs[node]]
        pieces = _unclaimed(read or [value.name for value in graph.output], makers, claimed)
        # Without a piece, the next layer has the name of the node that this is the first piece of.
        found[layer] = tuple(pieces or (node for reader in behind for node in found[reader]))
    return found


def _unclaimed(
    values: Iterable[str], makers: Mapping[str, NodeProto], claimed: set[str]
) -> list[str]:
    """List the nodes that lead to some values and that no layer names."""
    found: dict[str, None] = {}
    ahead = list(values)
    while ahead:
        node = makers.get(ahead.pop())
        if node is not None and node.name not in claimed and node.name not in found:
            found[node.name] = None
            ahead += node.input
    return list(found)


def _next_stated(
    layer: str, stated: Mapping[str, tuple[str, ...]], readers: Mapping[str, Sequence[str]]
) -> list[str]:
    """Find the first layers after a layer that have stated nodes."""
    found: dict[str, None] = {}
    ahead, seen = [layer], {layer}
    while ahead:
        for reader in readers.get(ahead.pop(), ()):
            if stated.get(reader):
                found[reader] = None
            elif reader not in seen:
                seen.add(reader)
                ahead.append(reader)
    return list(found)


def _facts(operation: Any) -> Mapping[str, str]:
    return {key: value.astype(str) for key, value in operation.get_rt_info().items()}


def _moved_bytes(operation: Any) -> int:
    values = [*operation.input_values(), *operation.outputs()]
    return sum(
        math.prod(value.get_shape()) * int(value.get_element_type().size) for value in values
    )

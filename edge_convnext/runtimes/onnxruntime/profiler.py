"""Layer times of ONNX Runtime: the trace that `SessionOptions.enable_profiling` writes.

A layer is a node of the graph as ONNX Runtime optimized it. The session writes that graph too, and
it shows which of our nodes a layer computes: a fused node keeps the name of its output, and it
computes everything between its inputs and that output.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.runtimes.onnxruntime.runner import OnnxRuntime
from edge_convnext.runtimes.profiler import LayerTimes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onnx import ModelProto, NodeProto
    from onnxruntime import SessionOptions

    from edge_convnext.runtimes.interface import RuntimeOptions

__all__ = ["OnnxRuntimeProfiler", "map_nodes", "read_trace"]

_KERNEL = "_kernel_time"
_BLOCKED = "_nchwc"  # the end of a convolution's name in ONNX Runtime's blocked layout
_REORDERS = {"ReorderInput", "ReorderOutput"}
_DTYPES = {"float": "f32", "float16": "f16", "uint8": "u8", "int8": "i8", "int32": "i32"}


class OnnxRuntimeProfiler(OnnxRuntime):
    """An `OnnxRuntime` that records the time of every node."""

    def __init__(self, path: Path, options: RuntimeOptions, folder: Path) -> None:
        self._optimized = folder / "optimized.onnx"
        self._trace_prefix = folder / "trace"
        super().__init__(path, options)

    def _configure(self, settings: SessionOptions) -> None:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(self._trace_prefix)
        settings.optimized_model_filepath = str(self._optimized)

    def take_layers(self) -> list[LayerTimes]:
        """End profiling and return the layers of all inferences, in the order of execution."""
        import onnx

        trace = Path(self._session.end_profiling())
        optimized = onnx.load(str(self._optimized), load_external_data=False)
        nodes = map_nodes(onnx.load(str(self._path), load_external_data=False), optimized)
        events = json.loads(trace.read_text(encoding="utf-8"))
        return read_trace(events, nodes, _constant_bytes(optimized))


def read_trace(
    events: Iterable[Mapping[str, Any]],
    nodes: Mapping[str, tuple[str, ...]],
    constant_bytes: Mapping[str, int],
) -> list[LayerTimes]:
    """Read the layers from a trace of some inferences.

    Args:
        events: The events of ONNX Runtime's JSON trace.
        nodes: Nodes of our graph by the name of the layer that computes them (`map_nodes`).
        constant_bytes: Size in bytes of the constants that a layer reads, by the layer's name. The
            trace does not list constants that were packed beforehand.

    Returns:
        One entry per layer, in the order of execution.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            found.setdefault(event["name"].removesuffix(_KERNEL), []).append(event)
    return [
        LayerTimes(
            name=name,
            nodes=nodes.get(name, ()),
            operation=kernels[0]["args"]["op_name"],
            kernel=_kernel(name, kernels[0]["args"]["op_name"]),
            dtype=_dtype(kernels[0]["args"].get("input_type_shape", [])),
            moved_bytes=constant_bytes.get(name, 0)
            + int(kernels[0]["args"].get("activation_size", 0))
            + int(kernels[0]["args"].get("output_size", 0)),
            times_ms=tuple(event["dur"] / 1e3 for event in kernels),
        )
        for name, kernels in found.items()
    ]


def map_nodes(graph: ModelProto, optimized: ModelProto) -> dict[str, tuple[str, ...]]:
    """Map each node of an optimized graph to the nodes of the original graph that it computes.

    Reorders to and from the blocked layout compute none.
    """
    names = {node.name for node in graph.graph.node}
    makers = {value: node for node in graph.graph.node for value in node.output}
    available = {value for node in optimized.graph.node for value in node.output}
    # A layer in the blocked layout is named after its last value, and makes another one.
    available |= {node.name.removesuffix(_BLOCKED) for node in optimized.graph.node}
    found = {}
    for layer in optimized.graph.node:
        if layer.op_type in _REORDERS:
            continue
        own = layer.name.removesuffix(_BLOCKED)
        fused = _between(layer, makers, available)
        found[layer.name] = tuple(dict.fromkeys([*([own] if own in names else []), *fused]))
    return found


def _between(
    layer: NodeProto, makers: Mapping[str, NodeProto], available: set[str]
) -> Sequence[str]:
    """List the nodes between a layer's outputs and the other layers' values, the last first."""
    found: dict[str, None] = {}
    own = layer.name.removesuffix(_BLOCKED)
    ends = (*layer.output, own) if own != layer.name else tuple(layer.output)
    ahead = [value for value in ends if value in makers]
    while ahead:
        node = makers[ahead.pop()]
        found[node.name] = None
        inputs = [value for value in node.input if value in makers and value not in available]
        ahead += [value for value in inputs if makers[value].name not in found]
    return list(found)


def _constant_bytes(graph: ModelProto) -> dict[str, int]:
    from onnx import helper

    sizes = {
        constant.name: math.prod(constant.dims)
        * helper.tensor_dtype_to_np_dtype(constant.data_type).itemsize
        for constant in graph.graph.initializer
    }
    return {
        node.name: sum(sizes.get(value, 0) for value in set(node.input))
        for node in graph.graph.node
    }


def _kernel(name: str, operation: str) -> str:
    return f"{operation} nchwc" if name.endswith(_BLOCKED) else operation


def _dtype(shapes: Sequence[Mapping[str, Any]]) -> str:
    first = next((dtype for shape in shapes for dtype in shape), "")
    return _DTYPES.get(first, first)

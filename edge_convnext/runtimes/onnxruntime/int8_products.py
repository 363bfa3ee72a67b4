"""Products that ONNX Runtime runs in INT8: its optimized graph, and why some are missing in it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.graph.file import read_proto
from edge_convnext.graph.structure import ALL_PRODUCTS
from edge_convnext.runtimes.int8_products import (
    INT8_OPERATIONS,
    Int8Products,
    planned_products,
)
from edge_convnext.runtimes.onnxruntime.int8_rules import why_in_float
from edge_convnext.runtimes.onnxruntime.runner import OnnxRuntime

if TYPE_CHECKING:
    from onnx import NodeProto
    from onnxruntime import SessionOptions

    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.runtimes.interface import RuntimeOptions

__all__ = ["int8_products"]

_TOKEN = re.compile(r"(_token_\d+|_nchwc)+$")  # appended to the name of a node that is fused
_UNSAID = "ONNX Runtime does not say why"
# Its WeightBiasQuantization, which is on by default.
_QUANTIZED_WEIGHTS = (
    "ONNX Runtime rounds the weights of a convolution between two pairs of Q/DQ itself"
)


def int8_products(path: Path, options: RuntimeOptions) -> Int8Products:
    """Compare a graph with what a session makes of it.

    Args:
        path: The graph's path.
        options: Options of its race.

    Raises:
        InferenceError: It can't load the graph.
    """
    from edge_convnext.graph.qdq import Wiring

    proto = read_proto(path)
    wiring = Wiring(proto)
    planned = planned_products(proto, wiring)
    with tempfile.TemporaryDirectory() as folder:
        optimized = Path(folder) / "optimized.onnx"
        _Optimized(path, options, optimized)
        # Weights past 2 GB would lie beside it; what is asked for are nodes alone.
        nodes = read_proto(optimized).graph.node
        found = [_TOKEN.sub("", node.name) for node in nodes if node.op_type in INT8_OPERATIONS]
    by_name = {node.name: node for node in proto.graph.node if node.op_type in ALL_PRODUCTS}
    beyond = tuple(
        (name, _why_beyond(by_name[name], wiring))
        for name in found
        if name in by_name and name not in planned
    )
    count = len(found) - len(beyond)
    # A fused node may have lost its name: names alone do not say that one is missing.
    gone = [name for name in planned if name not in found] if count < len(planned) else []
    missing = tuple((name, why_in_float(by_name[name], wiring) or _UNSAID) for name in gone)
    return Int8Products(planned, count, missing, beyond)


class _Optimized(OnnxRuntime):
    """A session that writes its optimized graph."""

    def __init__(self, path: Path, options: RuntimeOptions, optimized: Path) -> None:
        self._optimized = optimized
        super().__init__(path, options)

    def _configure(self, settings: SessionOptions) -> None:
        settings.optimized_model_filepath = str(self._optimized)


def _why_beyond(node: NodeProto, wiring: Wiring) -> str:
    """Why a product is in INT8 though the plan keeps it float."""
    if node.op_type == "Conv" and wiring.value(node.input[1]) is not None:
        return _QUANTIZED_WEIGHTS
    return _UNSAID

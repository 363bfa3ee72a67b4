"""Products that ONNX Runtime runs in INT8: its optimized graph, and why some are missing in it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.graph.file import read_proto
from edge_convnext.graph.structure import ALL_PRODUCTS, RELUS
from edge_convnext.runtimes.int8_products import (
    INT8_OPERATIONS,
    Int8Products,
    planned_products,
)
from edge_convnext.runtimes.onnxruntime.runner import OnnxRuntime

if TYPE_CHECKING:
    from onnx import NodeProto
    from onnxruntime import SessionOptions

    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.runtimes.interface import RuntimeOptions

__all__ = ["int8_products", "why_in_float"]

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
    missing = tuple((name, why_in_float(by_name[name], wiring)) for name in gone)
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


def why_in_float(node: NodeProto, wiring: Wiring) -> str:
    """The first rule of ONNX Runtime that a product with Q/DQ does not meet.

    Args:
        node: A product that reads quantized values, and that no INT8 kernel was found for.
        wiring: Wiring of its graph.
    """
    if node.op_type == "ConvTranspose":
        return "ONNX Runtime has no INT8 ConvTranspose"
    if node.op_type == "MatMul":
        return "ONNX Runtime fused it with a bias [C] into a float Gemm, or its scales are several"
    value, bound = node.output[0], None
    reader = _only_reader(wiring, value)
    if reader is not None and reader.op_type in RELUS:
        bound, value = reader, reader.output[0]
        reader = _only_reader(wiring, value)
    if reader is not None and reader.op_type == "MaxPool":  # a pair behind it serves as well
        reader = _only_reader(wiring, reader.output[0])
    readers = {one.op_type for one in wiring.readers.get(value, ())}
    if reader is None and "QuantizeLinear" in readers:
        return "more than the pair of Q/DQ reads its output"
    if reader is None or reader.op_type != "QuantizeLinear":
        return "no pair of Q/DQ on its output"
    if bound is not None and (why := _why_bounded(bound, reader, wiring)):
        return why
    return _UNSAID


def _why_bounded(bound: NodeProto, quantize: NodeProto, wiring: Wiring) -> str | None:
    """Why a Relu or Clip stays between a product and the pair on its output."""
    scale = wiring.value(quantize.input[1])
    zero = wiring.value(quantize.input[2]) if len(quantize.input) > 2 else None
    if scale is None or zero is None:
        return None
    limits = (-128, 127) if zero.dtype.kind == "i" else (0, 255)
    low, high = (float(scale.max()) * (limit - int(zero.max())) for limit in limits)
    if low < 0:
        kind = "signed" if zero.dtype.kind == "i" else "with a zero point"
        return f"the pair behind its {bound.op_type} is {kind}: it has to be uint8, from 0 up"
    top = wiring.value(bound.input[2]) if len(bound.input) > 2 and bound.input[2] else None
    if top is not None and high > float(top.max()) * (1 + 1e-6):
        return f"its range reaches past the Clip: {high:.4g}, and the Clip ends at {top.max():.4g}"
    return None


def _only_reader(wiring: Wiring, value: str) -> NodeProto | None:
    return wiring.readers[value][0] if wiring.is_private(value) else None

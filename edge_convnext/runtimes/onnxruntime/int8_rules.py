"""What ONNX Runtime's INT8 kernels ask of the graph around a product, as far as that tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.graph.structure import RELUS

if TYPE_CHECKING:
    from onnx import NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["why_in_float"]


def why_in_float(node: NodeProto, wiring: Wiring) -> str | None:
    """The first rule of ONNX Runtime that a product with Q/DQ does not meet; None: it meets all.

    Args:
        node: A product that reads quantized values.
        wiring: Wiring of its graph.
    """
    if node.op_type == "ConvTranspose":
        return "ONNX Runtime has no INT8 ConvTranspose"
    if node.op_type == "MatMul":
        return "ONNX Runtime fused it with a bias [C] into a float Gemm, or its scales are several"
    value, bound = node.output[0], None
    reader = _only_reader(wiring, value)
    floats = node.op_type == "Gemm" and not (reader is not None and reader.op_type in RELUS)
    if floats and not _has_float_bias(node, wiring):
        return None  # there is a Gemm with a float output, and none with a Relu behind it
    if reader is not None and reader.op_type in RELUS:
        bound, value = reader, reader.output[0]
        reader = _only_reader(wiring, value)
    if reader is not None and reader.op_type == "MaxPool":  # a pair behind it serves as well
        reader = _only_reader(wiring, reader.output[0])
    readers = {one.op_type for one in wiring.readers.get(value, ())}
    if reader is None and "QuantizeLinear" in readers:
        return "more than the pair of Q/DQ reads its output"
    if reader is None or reader.op_type != "QuantizeLinear":
        bias = "its bias is float, and " if floats else ""
        return f"{bias}no pair of Q/DQ on its output"
    if bound is not None and (why := _why_bounded(bound, reader, wiring)):
        return why
    return None


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


def _has_float_bias(node: NodeProto, wiring: Wiring) -> bool:
    name = node.input[2] if len(node.input) > 2 else ""
    return bool(name) and wiring.quantizer(name) is None


def _only_reader(wiring: Wiring, value: str) -> NodeProto | None:
    return wiring.readers[value][0] if wiring.is_private(value) else None

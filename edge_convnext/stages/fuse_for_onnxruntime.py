"""Lower: write a Q/DQ graph in the fused integer operators of ONNX Runtime.

A Q/DQ graph is portable: every runtime fuses it when it loads it. But ONNX Runtime leaves the bias
of an INT8 matrix product as a separate operation, one more pass over the widest tensors of the
network. Its fused operator includes the bias, but ONNX Runtime uses it only if the graph names it.
No other runtime loads that graph.

A second fused operator chooses the range of its activations from the values of each inference. That
costs a pass over them and saves the pass that quantizes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import ArtifactError, QuantizationError
from edge_convnext.core.files import AnyPath, atomic_path
from edge_convnext.core.step import Stage

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["STAGE", "has_products", "lower_for_onnxruntime"]

# A value halfway between two steps may be rounded either way.
STAGE = Stage("lower", 2, ("onnx", "onnxruntime"), max_error=2e-2)

_DOMAIN = "com.microsoft"
_FUSED = "MatMulIntegerToFloat"
_FUSED_DYNAMIC = "DynamicQuantizeMatMul"
_SIGN = 128  # int8 + 128 is uint8, with the same scale


@dataclass(frozen=True)
class _Product:
    """A MatMul and the two DequantizeLinear nodes that it reads."""

    node: NodeProto
    activation: NodeProto
    weight: NodeProto


def lower_for_onnxruntime(model: OnnxModel, output: AnyPath, *, dynamic: bool = False) -> OnnxModel:
    """Fuse every quantized MatMul and its bias into one operator of ONNX Runtime.

    Static ranges use `com.microsoft.MatMulIntegerToFloat`; the arithmetic is that of the Q/DQ
    graph. Signed activations become unsigned with zero point 128, which are the same numbers,
    because ONNX Runtime's x86 kernels need that. Dynamic ranges use
    `com.microsoft.DynamicQuantizeMatMul`; activations are unsigned, and their range is that of the
    whole batch of an inference.

    Args:
        model: An INT8 graph with explicit Q/DQ and constant per-channel or per-tensor weights.
        output: The file to write the lowered graph to.
        dynamic: True if every inference chooses its own ranges; those of `model` are dropped.

    Returns:
        A graph that only ONNX Runtime loads.

    Raises:
        QuantizationError: No MatMul of the graph has quantized inputs.
        ArtifactError: There is no such graph.

    Source:
        onnxruntime, docs/ContribOperators.md, com.microsoft.MatMulIntegerToFloat and
        com.microsoft.DynamicQuantizeMatMul.
    """
    output = Path(output)
    import onnx

    from edge_convnext.graph.qdq import Wiring, drop_unread

    if not model.path.is_file():
        raise ArtifactError(f"{model.path}: no such ONNX file; quantize the model first")
    proto = onnx.load(str(model.path))
    wiring = Wiring(proto)
    products = _find_products(wiring)
    if not products:
        raise QuantizationError(
            f"{model.path}: has no MatMul with quantized inputs to fuse; "
            "use the form nhwc or linear, or the format qdq"
        )
    if not dynamic:
        for name in dict.fromkeys(product.activation.input[0] for product in products):
            _make_unsigned(proto, wiring, wiring.producer[name])
    for product in products:
        _fuse(proto, wiring, product, dynamic)
    drop_unread(proto)
    proto.opset_import.append(onnx.helper.make_opsetid(_DOMAIN, 1))
    for entry in proto.metadata_props:
        if entry.key == METADATA_KEY:
            fields = {**json.loads(entry.value), "format": "onnxruntime"}
            entry.value = json.dumps(fields, sort_keys=True)
    with atomic_path(output) as scratch:
        scratch.write_bytes(proto.SerializeToString(deterministic=True))
    return replace(model, path=output)


def has_products(path: Path) -> bool:
    """True if a Q/DQ graph has a quantized MatMul to fuse; a Gemm or a Conv is never fused."""
    import onnx

    from edge_convnext.graph.qdq import Wiring

    return bool(_find_products(Wiring(onnx.load(str(path)))))


def _find_products(wiring: Wiring) -> list[_Product]:
    return [
        _Product(node, activation, weight)
        for node in wiring.producer.values()
        if node.op_type == "MatMul" and wiring.is_quantized(node)
        if (activation := _dequantizer(wiring, node.input[0])) is not None
        if (maker := wiring.producer.get(activation.input[0])) is not None  # not a constant
        if maker.op_type == "QuantizeLinear"
        if (weight := _dequantizer(wiring, node.input[1])) is not None
    ]


def _dequantizer(wiring: Wiring, name: str) -> NodeProto | None:
    """Return the DequantizeLinear that makes this value directly; None for any other node."""
    node = wiring.producer.get(name)
    return node if node is not None and node.op_type == "DequantizeLinear" else None


def _make_unsigned(proto: ModelProto, wiring: Wiring, quantize: NodeProto) -> None:
    """Shift a signed QuantizeLinear and all its readers to uint8."""
    from onnx import numpy_helper

    zero_point = wiring.value(quantize.input[2])
    if zero_point is None or zero_point.dtype != np.int8:
        return
    shifted = (zero_point.astype(np.int16) + _SIGN).astype(np.uint8)
    name = f"{quantize.name}.zero_point_uint8"  # the signed one may be shared
    proto.graph.initializer.append(numpy_helper.from_array(shifted, name))
    for node in (quantize, *wiring.readers[quantize.output[0]]):
        node.input[2] = name


def _fuse(proto: ModelProto, wiring: Wiring, product: _Product, dynamic: bool) -> None:
    """Put the fused operation where the product was, under its name."""
    from onnx import helper, numpy_helper

    activation, weight = product.activation, product.weight
    if dynamic:
        floating = wiring.producer[activation.input[0]].input[0]  # the QuantizeLinear's input
        inputs = [floating, weight.input[0], weight.input[1], weight.input[2]]
    else:
        inputs = [
            activation.input[0], weight.input[0], activation.input[1],
            weight.input[1], activation.input[2], weight.input[2],
        ]  # fmt: skip
    output = product.node.output[0]
    readers = wiring.readers.get(output, [])
    if len(readers) == 1 and readers[0].op_type == "Add":
        (addition,) = readers
        rows = [name for name in addition.input if _is_row(wiring, name)]
        if rows:
            flat = f"{rows[0]}.row"
            row = np.asarray(wiring.value(rows[0])).reshape(-1)
            proto.graph.initializer.append(numpy_helper.from_array(row, flat))
            inputs.append(flat)
            output = addition.output[0]
            proto.graph.node.remove(addition)
    kind = _FUSED_DYNAMIC if dynamic else _FUSED
    fused = helper.make_node(kind, inputs, [output], name=product.node.name, domain=_DOMAIN)
    product.node.CopyFrom(fused)


def _is_row(wiring: Wiring, name: str) -> bool:
    value = wiring.value(name)
    return value is not None and value.ndim > 0 and value.size == value.shape[-1]

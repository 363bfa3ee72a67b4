"""Read and rewrite Q/DQ graphs, for quantization and for its lint.

Every pass changes the graph in place, exactly: in real arithmetic the result is the same
function (`force_signed` excepted, which changes the quantizer it replaces).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from edge_convnext.core.errors import QuantizationError
from edge_convnext.graph.structure import PRODUCTS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

__all__ = [
    "MOVES",
    "Wiring",
    "channel_scales",
    "drop_unread",
    "drop_unread_constants",
    "force_signed",
    "guard_biases",
    "is_transposed",
    "scale_constant",
    "weight_axes",
]

# They only move values, so that a pair in front of them is one in front of what reads them.
MOVES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


class Wiring:
    """The maker and the readers of each value of a graph; stale once nodes are added or removed."""

    def __init__(self, proto: ModelProto) -> None:
        self.producer = {output: node for node in proto.graph.node for output in node.output}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in proto.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.constants = {tensor.name: tensor for tensor in proto.graph.initializer}
        self._outputs = {value.name for value in proto.graph.output}

    def value(self, name: str) -> NDArray[Any] | None:
        """A constant as an array; None for anything else."""
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def is_private(self, name: str) -> bool:
        """Whether exactly one node reads this value, and it is no output of the graph."""
        return len(self.readers.get(name, ())) == 1 and name not in self._outputs

    def quantizer(self, name: str) -> NodeProto | None:
        """The DequantizeLinear that a value comes from, behind operations that only move values."""
        node = self.producer.get(name)
        while node is not None and node.op_type in MOVES:
            node = self.producer.get(node.input[0])
        return node if node is not None and node.op_type == "DequantizeLinear" else None

    def has_quantized_weight(self, node: NodeProto) -> bool:
        """Whether this is a convolution or matrix product with dequantized weights."""
        return node.op_type in PRODUCTS and self.quantizer(node.input[1]) is not None

    def is_quantized(self, node: NodeProto) -> bool:
        """Whether its activations are quantized as well."""
        return self.has_quantized_weight(node) and self.quantizer(node.input[0]) is not None


def force_signed(proto: ModelProto) -> int:
    """Turn uint8 quantizers with zero point 0 into the int8 ones of the same range.

    NNCF quantizes a range without negative values as uint8, and has no option against it.
    TensorRT takes int8 only. A range [0, h] has scale h / 255 in uint8 and h / 127 in int8,
    which is also what NNCF writes for [-h, h].

    Returns:
        The number of quantizers changed.

    Raises:
        QuantizationError: One of them has another zero point.
    """
    wiring = Wiring(proto)
    done: set[str] = set()
    for node in proto.graph.node:
        if node.op_type != "QuantizeLinear" or len(node.input) < 3:
            continue
        scale, zero_point = node.input[1], node.input[2]
        value = wiring.value(zero_point)
        if value is None or value.dtype != np.uint8 or zero_point in done:
            continue
        if value.any():
            raise QuantizationError(
                f"{node.name}: zero point {value.max()} is not 0; only symmetric quantizers "
                "can be made signed"
            )
        old = numpy_helper.to_array(wiring.constants[scale]).astype(np.float64)
        signed = np.asarray(old * (255 / 127), dtype=np.float32)
        wiring.constants[scale].CopyFrom(numpy_helper.from_array(signed, scale))
        zeros = np.zeros(value.shape, np.int8)
        wiring.constants[zero_point].CopyFrom(numpy_helper.from_array(zeros, zero_point))
        done.add(zero_point)
    return len(done)


def guard_biases(proto: ModelProto) -> int:
    """Give the bias of every quantized MatMul the shape [1, C] instead of [C].

    ONNX Runtime's MatMulAddFusion matches [C] where shapes are static, and turns INT8 MatMul +
    Add into a float Gemm at half the speed. Broadcasting gives the same sums either way.

    Returns:
        The number of biases reshaped.
    """
    wiring = Wiring(proto)
    changed = 0
    for node in proto.graph.node:
        if node.op_type != "MatMul" or not wiring.is_quantized(node):
            continue
        for reader in wiring.readers.get(node.output[0], ()):
            for name in reader.input if reader.op_type == "Add" else ():
                bias = wiring.value(name)
                if bias is not None and bias.ndim == 1 and wiring.is_private(name):
                    row = numpy_helper.from_array(bias[None], name)
                    wiring.constants[name].CopyFrom(row)
                    changed += 1
    return changed


def channel_scales(wiring: Wiring, node: NodeProto) -> list[tuple[NodeProto, int]]:
    """The constants that scale a product's output by channel, as (node, input position).

    The product is Mul(x, Add(Mul(scale, n), 1)), as a response normalisation is after its folds:
    the scale and the 1. Empty for any other node.
    """
    if node.op_type != "Mul":
        return []
    for name in node.input:
        total = wiring.producer.get(name)
        if total is None or total.op_type != "Add" or not wiring.is_private(name):
            continue
        one = _constant_position(wiring, total)
        if one is None:
            continue
        product = wiring.producer.get(total.input[1 - one])
        if product is None or product.op_type != "Mul" or not wiring.is_private(product.output[0]):
            continue
        gamma = _constant_position(wiring, product)
        if gamma is not None:
            return [(product, gamma), (total, one)]
    return []


def _constant_position(wiring: Wiring, node: NodeProto) -> int | None:
    return next((at for at, name in enumerate(node.input) if name in wiring.constants), None)


def scale_constant(
    proto: ModelProto, wiring: Wiring, node: NodeProto, position: int, factors: NDArray[Any]
) -> None:
    """Multiply one constant input of a node; other nodes go on reading the old constant."""
    tensor = wiring.constants[node.input[position]]
    old = numpy_helper.to_array(tensor)
    fresh = f"{node.name}.equalized_{position}"
    scaled = numpy_helper.from_array((old * factors).astype(old.dtype), fresh)
    if tensor.name == fresh:  # scaled before, so only this node reads it
        tensor.CopyFrom(scaled)
    else:
        proto.graph.initializer.append(scaled)
        node.input[position] = fresh


def is_transposed(node: NodeProto) -> bool:
    """Whether this is a Gemm whose weight is [outputs, inputs]."""
    return node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)


def weight_axes(node: NodeProto, rank: int) -> tuple[int, int]:
    """Axes of the outputs and of the inputs in a product's weight, its second input.

    Those of a convolution with groups are the inputs of one group.
    """
    return (0, 1) if node.op_type == "Conv" or is_transposed(node) else (rank - 1, rank - 2)


def drop_unread(proto: ModelProto) -> None:
    """Remove operations whose outputs nothing reads, and then unread initializers."""
    read = {value.name for value in proto.graph.output}
    kept = []
    for node in reversed(proto.graph.node):  # readers come after what they read
        if not read.isdisjoint(node.output):
            kept.append(node)
            read.update(node.input)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(kept))
    drop_unread_constants(proto)


def drop_unread_constants(proto: ModelProto) -> None:
    """Remove initializers that no node reads."""
    read = {name for node in proto.graph.node for name in node.input}
    kept = [tensor for tensor in proto.graph.initializer if tensor.name in read]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)

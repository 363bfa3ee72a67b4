"""Exact rewrites of float graphs, found by structure: operations that a product can take in.

A factor or a shift by channel next to a convolution or matrix product goes into its weight and
bias. LayerScale and a BatchNormalization that the exporter left are such operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.graph.qdq import Wiring, drop_unread_constants, weight_axes
from edge_convnext.graph.structure import PRODUCTS, infer_shapes, scales

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

__all__ = ["fold_affines"]


def fold_affines(proto: ModelProto) -> int:
    """Fold factors by channel, and BatchNormalizations, into the product that they stand behind.

    Only a product whose output nothing else reads is changed, and only where it has a constant
    weight. The function is the same up to rounding.

    Args:
        proto: Float graph; changed in place.

    Returns:
        The number of operations that are gone.
    """
    shapes, gone = infer_shapes(proto), 0
    for node in list(proto.graph.node):
        if node.op_type not in ("BatchNormalization", "Div", "Mul"):
            continue
        wiring = Wiring(proto)
        found = _find(wiring, shapes, node)
        if found is not None:
            _fold(proto, wiring, node, *found)
            gone += 1
    if gone:
        drop_unread_constants(proto)
        proto.graph.ClearField("value_info")
    return gone


def _find(
    wiring: Wiring, shapes: Mapping[str, tuple[int, ...]], node: NodeProto
) -> tuple[NodeProto, NodeProto | None, NDArray[np.float64], NDArray[np.float64] | None] | None:
    """The product in front of a node, the addition of its bias, the factors and the shifts."""
    tensor = next((name for name in node.input if name not in wiring.constants), "")
    product, addition = _product_before(wiring, tensor)
    if product is None:
        return None
    rank = len(shapes.get(node.output[0], ()))
    channels = _outputs(wiring, product)
    axis = 1 if product.op_type == "Conv" else rank - 1
    if node.op_type == "BatchNormalization":
        found = (
            _normalised(wiring, node) if axis == 1 and _takes_shifts(product, addition) else None
        )
        return None if found is None else (product, addition, *found)
    if node.op_type == "Div" and node.input[0] != tensor:
        return None
    row = _as_row(wiring.value(node.input[1 - list(node.input).index(tensor)]), axis, rank)
    if row is None or row.size not in (1, channels):
        return None
    row = np.broadcast_to(row, channels)
    return product, addition, 1 / row if node.op_type == "Div" else row, None


def _product_before(wiring: Wiring, tensor: str) -> tuple[NodeProto | None, NodeProto | None]:
    node, addition = wiring.producer.get(tensor), None
    if node is not None and node.op_type == "Add" and wiring.is_private(tensor):
        inner = [name for name in node.input if name not in wiring.constants]
        if len(inner) != 1:
            return None, None
        addition, tensor = node, inner[0]
        node = wiring.producer.get(tensor)
    usable = (
        node is not None
        and node.op_type in PRODUCTS
        and all(not name or name in wiring.constants for name in node.input[1:])
        and wiring.is_private(tensor)
    )
    if not usable or node is None or len(wiring.constants[node.input[1]].dims) < 2:
        return None, None
    if node.op_type == "MatMul" and len(wiring.constants[node.input[1]].dims) != 2:
        return None, None
    return node, addition


def _takes_shifts(product: NodeProto, addition: NodeProto | None) -> bool:
    """Whether there is a place for a shift: a MatMul has none, and a Gemm may multiply its own."""
    return addition is not None or not (product.op_type == "MatMul" or scales(product))


def _outputs(wiring: Wiring, product: NodeProto) -> int:
    dims = wiring.constants[product.input[1]].dims
    return int(dims[weight_axes(product, len(dims))[0]])


def _as_row(value: NDArray[np.float32] | None, axis: int, rank: int) -> NDArray[np.float64] | None:
    """A constant that varies along one axis alone, float64[C] or [1]; None for any other."""
    if value is None or value.ndim > rank:
        return None
    shape = (1,) * (rank - value.ndim) + value.shape
    if any(size != 1 for at, size in enumerate(shape) if at != axis):
        return None
    return value.astype(np.float64).reshape(-1)


def _normalised(
    wiring: Wiring, node: NodeProto
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    values = [wiring.value(name) for name in node.input[1:5]]
    if any(value is None for value in values):
        return None
    scale, bias, mean, variance = (np.asarray(value, np.float64) for value in values)
    epsilon = next((item.f for item in node.attribute if item.name == "epsilon"), 1e-5)
    factors = scale / np.sqrt(variance + epsilon)
    return factors, bias - mean * factors


def _fold(
    proto: ModelProto,
    wiring: Wiring,
    node: NodeProto,
    product: NodeProto,
    addition: NodeProto | None,
    factors: NDArray[np.float64],
    shifts: NDArray[np.float64] | None,
) -> None:
    rank = len(wiring.constants[product.input[1]].dims)
    outputs, _ = weight_axes(product, rank)
    shape = [1] * rank
    shape[outputs] = -1
    _replace(proto, wiring, product, 1, factors.reshape(shape), None)
    last, position = product, 2
    if len(product.input) > 2 and product.input[2]:
        _replace(proto, wiring, product, 2, factors, None if addition is not None else shifts)
    elif shifts is not None and addition is None:
        product.input.append(_store(proto, f"{product.name}.shift", shifts))
    if addition is not None:
        last = addition
        position = next(at for at, name in enumerate(addition.input) if name in wiring.constants)
        dims = wiring.constants[addition.input[position]].dims
        behind = 0 if product.op_type != "Conv" else rank - 2  # axes behind the channels
        row = [1] * max(len(dims), 1 + behind)  # one number may be stored without those
        row[-1 - behind] = -1
        _replace(proto, wiring, addition, position, factors.reshape(row), None if shifts is None
                 else shifts.reshape(row))  # fmt: skip
    made, kept = node.output[0], last.output[0]
    proto.graph.node.remove(node)
    _rename(proto, last, kept, made)


def _rename(proto: ModelProto, last: NodeProto, old: str, new: str) -> None:
    """Let the operation that stays make the value of the one that is gone."""
    last.output[0] = new
    for one in proto.graph.node:
        one.input[:] = [new if name == old else name for name in one.input]


def _replace(
    proto: ModelProto,
    wiring: Wiring,
    node: NodeProto,
    position: int,
    factors: NDArray[np.float64],
    shifts: NDArray[np.float64] | None,
) -> None:
    old = wiring.value(node.input[position])
    assert old is not None  # the caller looked
    value = old.astype(np.float64) * factors
    value = value if shifts is None else value + shifts
    node.input[position] = _store(proto, f"{node.name}.folded_{position}", value)


def _store(proto: ModelProto, name: str, value: NDArray[np.float64]) -> str:
    from onnx import numpy_helper

    taken = {tensor.name for tensor in proto.graph.initializer}
    while name in taken:
        name += "_"
    proto.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
    return name

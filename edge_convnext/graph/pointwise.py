"""Products over the channels of a map: 1x1 convolutions as matrix products, and back.

Both are the same sums. Runtimes have other kernels for each, and other INT8 ones: TensorRT and
ONNX Runtime fuse other operations with a MatMul than with a Conv.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edge_convnext.graph.file import copy_message
from edge_convnext.graph.layout_steps import Pointwise
from edge_convnext.graph.qdq import Wiring, is_transposed
from edge_convnext.graph.relayout import relayout
from edge_convnext.graph.structure import Structure, integers, read_structure, scales

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

__all__ = ["FORMS", "convolutions_to_products", "products_to_convolutions", "write_in_form"]

_DOMAINS = ("", "ai.onnx")

_Finder: TypeAlias = Callable[[Structure, Wiring], Iterator[Pointwise]]
_Found: TypeAlias = "tuple[tuple[NodeProto, ...], str]"  # its nodes, and the name of its bias


def convolutions_to_products(proto: ModelProto) -> ModelProto:
    """Write every plain 1x1 convolution of a map as a MatMul on [N, H, W, C].

    Left as they are: strides, padding, groups, weights that are not stored, and maps of one
    position, as squeeze and excitation has them. All other operations go to whichever layout needs
    the fewest Transposes.

    Args:
        proto: Float graph; it is left as it is.

    Returns:
        A graph of the same function up to rounding; equal to `proto` where there is nothing to do.
    """
    return _rewrite(proto, _find_convolutions)


def products_to_convolutions(proto: ModelProto) -> ModelProto:
    """Write MatMuls on [N, H, W, C], and Gemms on their rows, as 1x1 convolutions on [N, C, H, W].

    Only maps that a Transpose brought into that layout are looked at, and a product is left as it
    is where a convolution would need more Transposes.

    Args:
        proto: Float graph; it is left as it is.

    Returns:
        A graph of the same function up to rounding; equal to `proto` where there is nothing to do.
    """
    return _rewrite(proto, _find_products)


FORMS: Mapping[str, Callable[[ModelProto], ModelProto]] = {
    "linear": convolutions_to_products,
    "conv": products_to_convolutions,
}


def write_in_form(proto: ModelProto, form: str) -> ModelProto:
    """A float graph in one of `FORMS`; of any other form, the graph itself."""
    return FORMS[form](proto) if form in FORMS else proto


def _rewrite(proto: ModelProto, find: _Finder) -> ModelProto:
    if any(
        item.HasField("g") or item.graphs for node in proto.graph.node for item in node.attribute
    ):
        return copy_message(proto)  # inner graphs read values by name
    products = list(find(read_structure(proto), Wiring(proto)))
    return relayout(proto, products) if products else copy_message(proto)


def _find_convolutions(seen: Structure, wiring: Wiring) -> Iterator[Pointwise]:
    for node in seen.nodes:
        if node.op_type != "Conv" or node.domain not in _DOMAINS or not _is_plain(seen, node):
            continue
        weight = _stored(wiring, node.input[1])
        name = node.input[2] if len(node.input) > 2 else ""
        bias = _stored(wiring, name)
        if weight is None or (name and bias is None) or weight.shape[2:] != (1, 1):
            continue
        matrix = weight[:, :, 0, 0].T
        yield Pointwise((node,), "first", "last", node.input[1], name or None, matrix, bias)


def _is_plain(seen: Structure, node: NodeProto) -> bool:
    """Whether a 1x1 convolution reads a map of several positions, each of them once."""
    once = all(one == 1 for key in ("strides", "dilations", "group") for one in integers(node, key))
    padded = any(integers(node, "pads"))
    return once and not padded and seen.shape(node.input[0])[2:] != (1, 1)


def _find_products(seen: Structure, wiring: Wiring) -> Iterator[Pointwise]:
    for node in seen.nodes:
        if node.op_type not in ("Gemm", "MatMul") or node.domain not in _DOMAINS:
            continue
        found = _with_bias(wiring, node) if node.op_type == "MatMul" else _with_rows(wiring, node)
        weight = _stored(wiring, node.input[1])
        if found is None or weight is None or weight.ndim != 2:
            continue
        nodes, name = found
        matrix = weight.T if is_transposed(node) else weight
        row = _as_row(_stored(wiring, name), matrix.shape[1])
        if (name and row is None) or not _keeps_positions(seen, nodes, matrix.shape):
            continue
        yield Pointwise(nodes, "last", "either", node.input[1], name or None, matrix, row)


def _with_bias(wiring: Wiring, node: NodeProto) -> _Found:
    """A MatMul, with the sum behind it if that is its bias."""
    output = node.output[0]
    reader = wiring.readers[output][0] if wiring.is_private(output) else None
    if reader is not None and reader.op_type == "Add":
        name = reader.input[1 - list(reader.input).index(output)]
        weight = _stored(wiring, node.input[1])
        if weight is not None and _as_row(_stored(wiring, name), weight.shape[-1]) is not None:
            return (node, reader), name
    return (node,), ""


def _with_rows(wiring: Wiring, node: NodeProto) -> _Found | None:
    """A Gemm between the Reshape that makes rows of a map, and the one that makes a map again."""
    output = node.output[0]
    before = wiring.producer.get(node.input[0])
    behind = wiring.readers[output][0] if wiring.is_private(output) else None
    plain = not scales(node) and integers(node, "transA", (0,)) == (0,)
    if before is None or behind is None or not plain or not wiring.is_private(before.output[0]):
        return None
    if before.op_type != "Reshape" or behind.op_type != "Reshape" or behind.input[0] != output:
        return None
    return (before, node, behind), node.input[2] if len(node.input) > 2 else ""


def _keeps_positions(
    seen: Structure, nodes: tuple[NodeProto, ...], channels: tuple[int, ...]
) -> bool:
    """Whether a map goes in and one with the same positions comes out."""
    before, after = seen.shape(nodes[0].input[0]), seen.shape(nodes[-1].output[0])
    if len(before) != 4 or len(after) != 4:
        return False
    rows_are_channels = (before[3], after[3]) == channels
    same = before[:3] == after[:3] and all(before)
    return nodes[0].op_type == "MatMul" or (rows_are_channels and same)


def _as_row(value: NDArray[np.float32] | None, size: int) -> NDArray[np.float32] | None:
    """A constant that is added by channel, [C]; None for any other."""
    if value is None or value.ndim > 4 or value.size not in (1, size):
        return None
    if value.size > 1 and value.shape[-1] != size:
        return None
    return np.array(np.broadcast_to(value.reshape(-1), (size,)))


def _stored(wiring: Wiring, name: str) -> NDArray[np.float32] | None:
    value = wiring.value(name)
    return value if value is not None and value.dtype == np.float32 else None

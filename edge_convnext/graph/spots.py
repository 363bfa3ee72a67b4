"""Spots: which tensors of a graph a placement quantizes, and who reads them quantized.

Products, residual additions and the rest are found by their operations and shapes; no names are
read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_convnext.graph.norms import is_norm
from edge_convnext.graph.ranges import weight_energy
from edge_convnext.graph.structure import CARRIERS, PRODUCTS, RELUS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from onnx import NodeProto

    from edge_convnext.graph.placements import Placement
    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.graph.roles import Product, Roles
    from edge_convnext.graph.structure import Structure

__all__ = ["Spot", "find_never_negative", "list_spots"]

_SIGMOIDS = frozenset({"HardSigmoid", "Sigmoid"})
_NEVER_NEGATIVE = frozenset({"HardSigmoid", "Relu", "Sigmoid", "Softmax"})
# What they make has no sign that their inputs have not.
_KEEP_SIGN = CARRIERS | {
    *("Add", "AveragePool", "Concat", "Gather", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"),
    *("Mul", "Pad", "ReduceMax", "ReduceMean", "Slice", "Split"),
}


@dataclass(frozen=True)
class Spot:
    """A tensor that is quantized."""

    tensor: str
    axis: int  # of its channels
    energy: NDArray[np.float32] | None  # [C], of the weights that read each channel; None: equal
    readers: frozenset[str] | None  # nodes that read it quantized; None: all
    signed: bool = False  # whatever the type of the activations: a weight that is computed


def list_spots(
    seen: Structure,
    wiring: Wiring,
    roles: Roles,
    wanted: Collection[str],
    placement: Placement,
    ignored: Collection[str] = (),
) -> list[Spot]:
    """Every tensor to quantize, in the order of the graph.

    Args:
        seen: Structure of the float graph.
        wiring: Wiring of the same graph.
        roles: Roles of its products.
        wanted: Products to quantize.
        placement: Placement that says what else is quantized.
        ignored: Names of nodes that stay float, whatever they are.
    """
    nodes = {node.name: node for node in seen.nodes}
    products = [one for one in roles.products if one.name in wanted]
    others = [node for node in seen.nodes if node.name not in ignored]
    found: list[Spot] = []
    for one in products:
        found += _of_product(wiring, nodes[one.name], one)
        if placement.outputs and nodes[one.name].op_type == "Conv":
            found += _outputs(seen, nodes[one.name])
    for node in others:
        if placement.adds and node.op_type == "Add" and _is_residual(seen, node):
            found += [_plain(seen, name, node.name) for name in node.input]
            found += _outputs(seen, node) if placement.outputs else ()
        if node.op_type in placement.more and _closes(seen, node):
            found += [_plain(seen, name, node.name) for name in seen.variables(node)]
            found += [_plain(seen, node.output[0], None)]
    merged: dict[str, Spot] = {}
    for spot in found:
        if spot.tensor not in seen.logits:
            merged[spot.tensor] = _merge(merged.get(spot.tensor), spot, placement.share)
    order = {name: at for at, node in enumerate(seen.nodes) for name in node.output}
    found = [_leave_floats(seen, spot, wanted) for spot in merged.values()]
    return sorted(found, key=lambda spot: order.get(spot.tensor, -1))


def find_never_negative(seen: Structure, wiring: Wiring) -> frozenset[str]:
    """Tensors in which the operations that make them leave no negative value."""
    found: set[str] = set()
    for node in seen.nodes:
        if _makes_none_negative(seen, wiring, node, found):
            found.update(node.output)
    return frozenset(found)


def _makes_none_negative(
    seen: Structure, wiring: Wiring, node: NodeProto, known: Collection[str]
) -> bool:
    if node.op_type in _NEVER_NEGATIVE:
        return True
    if node.op_type == "Clip":
        lowest = wiring.value(node.input[1]) if len(node.input) > 1 else None
        return lowest is not None and bool(lowest.min() >= 0)
    if node.op_type not in _KEEP_SIGN:
        return False
    read = seen.variables(node)
    values = [name for name in node.input[:2] if name]
    if node.op_type in ("Add", "Concat", "Mul") and len(read) < len(values):
        return False  # a constant may be negative
    return bool(read) and all(name in known for name in read)


def _of_product(wiring: Wiring, node: NodeProto, one: Product) -> Iterator[Spot]:
    readers = frozenset({one.name})
    if one.kind == "attention":
        yield Spot(one.activation, -1, None, readers)
        yield Spot(one.weight, -1, None, readers)
    elif one.computed:
        yield Spot(one.activation, one.axis, None, readers)
        yield Spot(one.weight, 0, None, readers, signed=True)
    elif one.axis == -2:
        yield Spot(one.activation, one.axis, None, readers)
    else:
        yield Spot(one.activation, one.axis, weight_energy(wiring, node), readers)


def _outputs(seen: Structure, node: NodeProto) -> Iterator[Spot]:
    """What a convolution or sum makes, behind the Relu or Clip that runtimes fuse with it."""
    name = node.output[0]
    readers = seen.readers.get(name, ())
    if len(readers) == 1 and readers[0].op_type in RELUS:
        name = readers[0].output[0]
    yield _plain(seen, name, None)


def _is_residual(seen: Structure, node: NodeProto) -> bool:
    """Whether two maps of one shape are added, and no norm reads the sum.

    A norm divides by the spread, and so by what INT8 rounds a transformer's few large channels to:
    DeiT and ViT have 12 to 17 dB with such sums in INT8, and 29 to 31 without.
    """
    if len(seen.variables(node)) < 2 or seen.shape(node.input[0]) != seen.shape(node.input[1]):
        return False
    (total,) = node.output
    return not any(is_norm(seen, reader, total) for reader in seen.readers.get(total, ()))


def _closes(seen: Structure, node: NodeProto) -> bool:
    """Whether an operation between products can be INT8; of products by a factor, only gates."""
    read = seen.variables(node)
    # Without any, it works on sizes: a class token of a dynamic batch has such a Concat, of int64.
    if not read or any(len(seen.shape(name)) < 2 for name in read):
        return False
    if node.op_type in _SIGMOIDS:
        return any(reader.op_type == "Mul" for reader in seen.readers.get(node.output[0], ()))
    if node.op_type == "Mul":
        makers = [seen.maker.get(name) for name in node.input]
        return len(read) > 1 and any(
            maker is not None and maker.op_type in _SIGMOIDS for maker in makers
        )
    return True


def _leave_floats(seen: Structure, spot: Spot, wanted: Collection[str]) -> Spot:
    """Let a float product read what a float product made as it is, though others read a pair.

    ONNX Runtime 1.32 takes a convolution between two pairs for a quantized one, and rounds its
    weights itself.
    """
    maker = seen.maker.get(spot.tensor)
    while maker is not None and maker.op_type in RELUS:
        maker = seen.maker.get(maker.input[0])
    floats = [
        node.name
        for node in seen.readers.get(spot.tensor, ())
        if node.op_type in PRODUCTS and node.name not in wanted
    ]
    if (
        not floats or spot.readers is not None
        or maker is None or maker.op_type not in PRODUCTS or maker.name in wanted
    ):  # fmt: skip
        return spot
    readers = {node.name for node in seen.readers[spot.tensor]} - set(floats)
    return replace(spot, readers=frozenset(readers))


def _plain(seen: Structure, tensor: str, reader: str | None) -> Spot:
    axis = 1 if len(seen.shape(tensor)) == 4 else -1
    return Spot(tensor, axis, None, None if reader is None else frozenset({reader}))


def _merge(before: Spot | None, spot: Spot, share: bool) -> Spot:
    if before is None:
        return Spot(
            spot.tensor, spot.axis, spot.energy, None if share else spot.readers, spot.signed
        )
    axis, energy = before.axis, before.energy
    if energy is None:
        axis, energy = (axis, None) if spot.energy is None else (spot.axis, spot.energy)
    elif spot.energy is not None and len(spot.energy) == len(energy):
        energy = energy + spot.energy
    readers = None
    if before.readers is not None and spot.readers is not None and not share:
        readers = before.readers | spot.readers
    return Spot(spot.tensor, axis, energy, readers, before.signed or spot.signed)

"""Roles: what each convolution and matrix product of a graph is, read off the graph alone.

No names are read, so that the same rules serve every network, and a user's own ONNX. Graphs with
Q/DQ have the roles of the float graph that they were made from.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Literal

from edge_convnext.graph.norms import is_norm
from edge_convnext.graph.structure import (
    CARRIERS,
    PRODUCTS,
    RELUS,
    Structure,
    integers,
    read_structure,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from onnx import ModelProto, NodeProto

__all__ = ["Behind", "Product", "ProductKind", "Roles", "describe"]

ProductKind = Literal["conv", "pointwise", "depthwise", "grouped", "linear", "attention"]
Behind = Literal["nothing", "relu", "act", "norm", "add", "concat"]

_IMAGES, _LOGITS = "\0images", "\0logits"  # no node has such a name
_ACTIVATIONS = frozenset(
    {
        *("Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu"),
        *("Selu", "Sigmoid", "Softmax", "Softplus", "Swish", "Tanh"),
    }
)
# Of several readers, the first of these says what stands behind.
_ORDER: tuple[Behind, ...] = ("relu", "act", "norm", "add", "concat")


@dataclass(frozen=True)
class Product:
    """One convolution or matrix product."""

    name: str  # of its node
    kind: ProductKind
    first: bool  # it reads the images, through no other product
    last: bool  # it makes the logits, and no other product follows
    gate: bool  # squeeze and excitation: one position an image, and the result scales a map
    computed: bool  # its weight is a constant times a factor that depends on the image
    downsample: bool  # its map has fewer positions than the one that it reads
    stage: int  # by resolution, from 0 at the largest map that a product makes
    macs: int  # multiply-accumulates of one image
    behind: Behind
    activation: str  # the tensor that it reads
    weight: str  # a constant, the tensor of a computed weight, or attention's other factor
    axis: int  # of the channels, in the activation


@dataclass(frozen=True)
class Roles:
    """Every product of a graph, in the graph's order."""

    products: tuple[Product, ...]
    operations: Mapping[str, int]  # types of the graph's nodes, and how many there are

    @cached_property
    def by_name(self) -> Mapping[str, Product]:
        """Products by the name of their node."""
        return {one.name: one for one in self.products}

    @property
    def stages(self) -> int:
        """Number of stages."""
        return max((one.stage for one in self.products), default=-1) + 1

    def share(self, *kinds: ProductKind) -> float:
        """Share of the multiply-accumulates that products of some kinds have, 0 to 1."""
        total = sum(one.macs for one in self.products)
        return sum(one.macs for one in self.products if one.kind in kinds) / max(total, 1)

    def has(self, *operations: str) -> bool:
        """Whether any node is of one of these types."""
        return any(name in self.operations for name in operations)


def describe(proto: ModelProto) -> Roles:
    """Find the role of every product.

    Args:
        proto: Graph with one input of images; weights are not needed.
    """
    seen = read_structure(proto)
    nodes = [node for node in seen.nodes if _is_product(seen, node)]
    stages = _number_stages([seen.extents.get(node.output[0], 0) for node in nodes])
    first, last = _find_ends(seen, nodes)
    products = tuple(
        _describe(seen, node, stages[seen.extents.get(node.output[0], 0)], first, last)
        for node in nodes
    )
    return Roles(products, dict(sorted(Counter(node.op_type for node in seen.nodes).items())))


def _is_product(seen: Structure, node: NodeProto) -> bool:
    """Whether a node is a product of the images' values, and no sum that is written as one."""
    if node.op_type not in PRODUCTS or not seen.variables(node):
        return False
    if node.op_type == "Conv":  # GRN's mean over channels makes one number of one a channel
        reduced = seen.maker.get(node.input[0])
        sums = reduced is not None and reduced.op_type.startswith("Reduce")
        return not sums or seen.shape(node.input[1])[:1] != (1,)
    left = node.input[0]
    return left not in seen.constants or seen.shape(left)[-2:-1] != (1,)


def _describe(
    seen: Structure, node: NodeProto, stage: int, first: Collection[str], last: Collection[str]
) -> Product:
    activation, weight = node.input[0], node.input[1]
    if activation in seen.constants:  # the weight stands on the left
        activation, weight = weight, activation
    computed = weight not in seen.constants and _is_scaled_constant(seen, weight)
    kind = _kind(seen, node, weight, computed)
    convolves, on_left = node.op_type == "Conv", activation != node.input[0]
    return Product(
        name=node.name,
        kind=kind,
        first=node.name in first,
        last=node.name in last,
        gate=kind != "attention" and activation in seen.pooled and _scales_a_map(seen, node),
        computed=computed,
        downsample=0 < seen.extents.get(node.output[0], 0) < seen.extents.get(activation, 0),
        stage=stage,
        macs=_count_macs(seen, node),
        behind=_behind(seen, node),
        activation=activation,
        weight=weight,
        axis=1 if convolves else -2 if on_left else -1,
    )


def _kind(seen: Structure, node: NodeProto, weight: str, computed: bool) -> ProductKind:
    if weight not in seen.constants and not computed:
        return "attention"
    if node.op_type != "Conv":
        return "linear"
    shape = seen.shape(weight)
    (groups,) = integers(node, "group", (1,))
    if groups > 1:
        return "depthwise" if len(shape) > 1 and shape[1] == 1 else "grouped"
    return "pointwise" if prod(shape[2:]) == 1 else "conv"


def _is_scaled_constant(seen: Structure, weight: str) -> bool:
    """Whether a weight is a constant of a weight's shape, times a factor."""
    node = seen.maker.get(weight)
    while node is not None and node.op_type in CARRIERS:
        node = seen.maker.get(node.input[0])
    if node is None or node.op_type != "Mul":
        return False
    return any(
        name in seen.constants and sum(size > 1 for size in seen.shape(name)) >= 2
        for name in node.input
    )


def _count_macs(seen: Structure, node: NodeProto) -> int:
    """Multiply-accumulates of one image: outputs times what each is a sum of."""
    outputs, read = seen.size(node.output[0]) // seen.batch, seen.shape(node.input[1])
    if node.op_type == "Conv":
        return outputs * prod(read[1:])
    if not read:
        return 0
    transposed = node.op_type == "Gemm" and integers(node, "transB", (0,)) == (1,)
    return outputs * (read[-1] if transposed or len(read) == 1 else read[-2])


def _number_stages(extents: Collection[int]) -> Mapping[int, int]:
    """Stages by extent: a map of less than half the positions begins the next one.

    Windows are padded and tokens of a class are added, so that equal resolutions may differ a bit.
    """
    numbers: dict[int, int] = {}
    stage, largest = -1, 0
    for extent in sorted(set(extents), reverse=True):
        if stage < 0 or 2 * extent < largest:
            stage, largest = stage + 1, extent
        numbers[extent] = stage
    return numbers


def _find_ends(seen: Structure, nodes: Collection[NodeProto]) -> tuple[set[str], set[str]]:
    """Names of the products before which, and behind which, there is no other."""
    names = {node.name for node in nodes}
    above: dict[str, set[str]] = {name: {_IMAGES} for name in seen.images}
    for node in seen.nodes:
        found = {node.name} if node.name in names else _joined(above, node.input)
        above.update(dict.fromkeys(node.output, found))
    below: dict[str, set[str]] = {name: {_LOGITS} for name in seen.logits}
    for node in reversed(seen.nodes):
        found = {node.name} if node.name in names else _joined(below, node.output)
        for name in node.input:
            below[name] = below.get(name, set()) | found
    first = {node.name for node in nodes if _joined(above, seen.variables(node)[:1]) == {_IMAGES}}
    return first, {node.name for node in nodes if _joined(below, node.output) == {_LOGITS}}


def _joined(ends: Mapping[str, set[str]], names: Collection[str]) -> set[str]:
    """Ends of several values; capped, as all that matters is which are alone."""
    found: set[str] = set()
    for name in names:
        found |= ends.get(name, set())
    return set(sorted(found)[:2]) if len(found) > 2 else found


def _scales_a_map(seen: Structure, node: NodeProto) -> bool:
    """Whether what is made of pooled values is multiplied with a map."""
    names, known = list(node.output), set[str]()
    while names:
        name = names.pop()
        for reader in seen.readers.get(name, ()):
            (output,) = reader.output[:1]
            if output in seen.pooled:
                names += [output] if output not in known else []
                known.add(output)
            elif reader.op_type == "Mul":
                return True
    return False


def _behind(seen: Structure, node: NodeProto) -> Behind:
    """What reads a product's output, its own bias and factors by channel apart."""
    found: set[Behind] = set()
    names, known = [node.output[0]], {node.output[0]}
    while names:
        name = names.pop()
        for reader in seen.readers.get(name, ()):
            kind = _reads_as(seen, reader, name)
            if kind is not None:
                found.add(kind)
            elif _goes_on(seen, reader) and reader.output[0] not in known:
                known.add(reader.output[0])
                names.append(reader.output[0])
    return next((one for one in _ORDER if one in found), "nothing")


def _reads_as(seen: Structure, reader: NodeProto, name: str) -> Behind | None:
    if reader.op_type in RELUS:
        return "relu"
    if reader.op_type in _ACTIVATIONS:
        return "act"
    if is_norm(seen, reader, name):
        return "norm"
    if reader.op_type == "Concat":
        return "concat"
    return "add" if reader.op_type == "Add" and len(seen.variables(reader)) > 1 else None


def _goes_on(seen: Structure, reader: NodeProto) -> bool:
    """Whether a value is only moved, or gets a constant added or multiplied."""
    shifts = reader.op_type in ("Add", "Mul") and len(seen.variables(reader)) == 1
    return shifts or reader.op_type in CARRIERS

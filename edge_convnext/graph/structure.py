"""What a graph tells of its values without running it: shapes, constants, pooled values, extents.

No names are read. Weights are not needed, but for the small constants that shapes depend on.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, TypeAlias

from edge_convnext.graph.bare import copy_bare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onnx import ModelProto, NodeProto

__all__ = [
    "ALL_PRODUCTS",
    "CARRIERS",
    "PRODUCTS",
    "RELUS",
    "Shape",
    "Structure",
    "infer_shapes",
    "integers",
    "pads_itself",
    "read_structure",
    "scales",
]

Shape: TypeAlias = tuple[int, ...]  # 0 where a size is not known

PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})
ALL_PRODUCTS = PRODUCTS | {"ConvTranspose"}  # which no placement quantizes
RELUS = frozenset({"Clip", "Relu"})  # runtimes fuse them with the product in front
# They move values or store them otherwise, and compute nothing.
CARRIERS = frozenset(
    {
        *("Cast", "DequantizeLinear", "Flatten", "Identity", "QuantizeLinear", "Reshape"),
        *("Squeeze", "Transpose", "Unsqueeze"),
    }
)
_GLOBAL_POOLS = frozenset({"GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"})
_SIZES = frozenset({"Shape", "Size"})  # of a value, whatever its numbers
_WINDOW_POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})


@dataclass(frozen=True)
class Structure:
    """A graph and what is known of its values."""

    nodes: tuple[NodeProto, ...]
    maker: Mapping[str, NodeProto]
    readers: Mapping[str, tuple[NodeProto, ...]]
    shapes: Mapping[str, Shape]  # of one image where the batch is dynamic
    batch: int  # images of one inference; 1 where that is dynamic
    images: frozenset[str]  # inputs of the graph
    logits: frozenset[str]  # its outputs
    constants: frozenset[str]  # values that no image changes
    pooled: frozenset[str]  # values with one position an image, made of a whole map alone
    extents: Mapping[str, int]  # positions of the map that a value belongs to, or was pooled of

    def shape(self, name: str) -> Shape:
        """Of a value; empty where nothing is known, and for a scalar."""
        return self.shapes.get(name, ())

    def size(self, name: str) -> int:
        """Numbers in a value; 0 where not known."""
        return prod(self.shape(name))

    def variables(self, node: NodeProto) -> list[str]:
        """Inputs of a node that depend on the images."""
        return [name for name in node.input if name and name not in self.constants]


def infer_shapes(proto: ModelProto) -> Mapping[str, Shape]:
    """Shapes of every value as ONNX infers them, for one image where the batch is dynamic."""
    import onnx

    bare = copy_bare(proto)
    for value in bare.graph.input:
        sizes = value.type.tensor_type.shape.dim
        if sizes and not sizes[0].dim_value:
            sizes[0].dim_value = 1
    for value in bare.graph.output:
        value.type.tensor_type.ClearField("shape")  # it may state the dynamic batch
    graph = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = tuple(one.dim_value for one in value.type.tensor_type.shape.dim)
    return shapes


def read_structure(proto: ModelProto) -> Structure:
    """Look at a graph, float or with Q/DQ."""
    nodes = tuple(proto.graph.node)
    shapes = infer_shapes(proto)
    readers: dict[str, list[NodeProto]] = {}
    for node in nodes:
        for name in dict.fromkeys(node.input):
            readers.setdefault(name, []).append(node)
    stored = {tensor.name for tensor in proto.graph.initializer}
    images = [value.name for value in proto.graph.input if value.name not in stored]
    first = shapes.get(images[0], ()) if images else ()
    constants = _find_constants(nodes, stored)
    batch = max(first[0], 1) if first else 1
    return Structure(
        nodes,
        {output: node for node in nodes for output in node.output},
        {name: tuple(found) for name, found in readers.items()},
        shapes,
        batch,
        frozenset(images),
        frozenset(value.name for value in proto.graph.output),
        constants,
        _find_pooled(nodes, constants, shapes),
        _find_extents(nodes, constants, shapes, batch, images),
    )


def _find_constants(nodes: Iterable[NodeProto], stored: Iterable[str]) -> frozenset[str]:
    known = {"", *stored}
    for node in nodes:
        stays = known.issuperset(node.input) and not node.op_type.startswith("Random")
        if stays or node.op_type in _SIZES:
            known.update(node.output)
    return frozenset(known - {""})


def _find_pooled(
    nodes: Iterable[NodeProto], constants: frozenset[str], shapes: Mapping[str, Shape]
) -> frozenset[str]:
    pooled: set[str] = set()
    for node in nodes:
        read = [name for name in node.input if name and name not in constants]
        if read and (pooled.issuperset(read) or _pools(node, shapes)):
            pooled.update(node.output)
    return frozenset(pooled)


def _pools(node: NodeProto, shapes: Mapping[str, Shape]) -> bool:
    """Whether one number a channel is left of a map."""
    before, after = shapes.get(node.input[0], ()), shapes.get(node.output[0], ())
    if node.op_type in _GLOBAL_POOLS:
        return True
    if node.op_type in _WINDOW_POOLS:
        return bool(after) and prod(after[2:]) == 1 and prod(before[2:]) > 1
    return node.op_type.startswith("Reduce") and 0 < prod(after) < prod(before)


def _find_extents(
    nodes: Iterable[NodeProto],
    constants: frozenset[str],
    shapes: Mapping[str, Shape],
    batch: int,
    images: Iterable[str],
) -> Mapping[str, int]:
    """Positions of maps: those of a product or pool by its shape, all else as what it is made of.

    A value that was pooled keeps the extent of its map: what is computed from it belongs there.
    """
    extents = {name: prod(shapes.get(name, ())[2:]) for name in images}
    origins: dict[str, str] = {}  # of values that were only moved
    for node in nodes:
        read = [name for name in node.input if name and name not in constants]
        inherited = max((extents.get(name, 0) for name in read), default=0)
        if node.op_type in CARRIERS and read:
            origins[node.output[0]] = origins.get(read[0], read[0])
        origin = origins.get(node.input[0], node.input[0]) if read else ""
        own = _own_extent(node, constants, shapes, batch, shapes.get(origin, ())) if read else 0
        for output in node.output:
            extents[output] = own or inherited
    return extents


def _own_extent(
    node: NodeProto,
    constants: frozenset[str],
    shapes: Mapping[str, Shape],
    batch: int,
    origin: Shape,
) -> int:
    """Positions that a node makes; 0 where it only goes on with those of its inputs.

    `origin` is the shape of its first input before that was moved.
    """
    before, after = shapes.get(node.input[0], ()), shapes.get(node.output[0], ())
    if not after or not before:
        return 0
    if node.op_type in ("Conv", *_WINDOW_POOLS):
        made, read = prod(after[2:]), prod(before[2:])
        is_map = made > 1 or (node.op_type == "Conv" and read > 1)
        return made if is_map else 0
    if node.op_type in ("Gemm", "MatMul") and node.input[1] in constants:
        made = prod(after[:-1]) // batch
        reads_map = sum(size > 1 for size in origin[1:]) > 1
        return made if made > 1 or reads_map else 0
    return 0


def pads_itself(node: NodeProto) -> bool:
    """Whether the pads of a convolution or a pool follow from the size of its input."""
    return any(one.name == "auto_pad" and one.s.startswith(b"SAME") for one in node.attribute)


def scales(node: NodeProto) -> bool:
    """Whether a Gemm multiplies its product or its bias."""
    return any(one.name in {"alpha", "beta"} and one.f != 1.0 for one in node.attribute)


def integers(node: NodeProto, name: str, default: Iterable[int] = ()) -> tuple[int, ...]:
    """An attribute of one or several integers."""
    for item in node.attribute:
        if item.name == name:
            return tuple(item.ints) or (int(item.i),)
    return tuple(default)

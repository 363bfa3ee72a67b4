"""Where channels can be rescaled in a graph whose names tell nothing.

A product or a norm makes channels, each of which has a row of constants of its own. All products
that read them, through whatever a positive factor passes, multiply them by constants again. So the
factors go from one to the others, and no operation is added: a norm in front of several products,
a convolution in front of a convolution with a Relu between, attention's values in front of the
projection behind.

Source: SmoothQuant, arXiv 2211.10438; cross-layer equalization, arXiv 1906.04721.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge_convnext.graph.activations import observe
from edge_convnext.stages.equalize_factors import choose_factors, even_out, grid_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from edge_convnext.core.artifacts import ActivationType
    from edge_convnext.graph.channels import Reader, Route, Shift
    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.graph.structure import Structure

__all__ = ["Joint", "divide", "equalize_joints", "find_joints"]


@dataclass(frozen=True)
class Joint:
    """Channels that can be rescaled, and the products that read them."""

    maker: str  # node
    constants: tuple[tuple[int, tuple[int, ...]], ...]  # of the maker: input, shape of factors
    shifts: tuple[Shift, ...]
    readers: tuple[Reader, ...]
    tensor: str  # that the first reader reads
    axis: int  # of the channels there
    order: NDArray[np.int64]  # [K], the maker's channel of each channel there
    channels: int  # of the maker; those that are not in `order` stay as they are
    weight: NDArray[np.float32]  # [K, everything else], of all that read that tensor
    separate: bool  # readers are depthwise: no output adds up several channels


def equalize_joints(
    proto: ModelProto,
    batches: Sequence[NDArray[np.float32]],
    alpha: float | Literal["auto"],
    activation_type: ActivationType,
) -> None:
    """Rescale the channels of every joint by the factors that suit its quantizer.

    Args:
        proto: FP32; changed in place, to the same function up to rounding.
        batches: Normalised calibration images, float32[n, C, H, W].
        alpha: Strength, 0 to 1, or "auto" for the best of each joint.
        activation_type: The type that activations will be quantized to.

    Raises:
        QuantizationError: The graph can't be run on the images.
    """
    joints = find_joints(proto)
    if not joints:
        return
    seen = observe(proto, {joint.tensor: joint.axis for joint in joints}, batches)
    for joint in joints:
        values = seen[joint.tensor]
        if joint.separate:
            factors = even_out(values)
        else:
            kind = grid_type(values, activation_type)
            factors = choose_factors(joint.weight, 1, values, alpha, kind, turn=False)
        if factors is not None:
            divide(proto, joint, factors)


def find_joints(proto: ModelProto) -> list[Joint]:
    """Every place of a float graph, in the order of the graph."""
    from edge_convnext.graph.channels import follow
    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.graph.structure import read_structure

    seen, wiring = read_structure(proto), Wiring(proto)
    joints = []
    for node in seen.nodes:
        made = _makes_channels(wiring, node)
        if made is not None:
            axis, constants = made
            route = follow(seen, wiring, node.output[0], axis)
            joint = _join(seen, wiring, node, axis, constants, route)
            joints += [] if joint is None else [joint]
    return joints


_Constants = tuple[tuple[int, tuple[int, ...]], ...]


def _makes_channels(wiring: Wiring, node: NodeProto) -> tuple[int, _Constants] | None:
    """The axis of the channels that a node makes, and its constants that have a row for each."""
    from edge_convnext.graph.qdq import is_transposed

    kind = node.op_type
    if any(name and name not in wiring.constants for name in node.input[1:]):
        return None
    present = [at for at in range(1, len(node.input)) if node.input[at]]
    if kind == "LayerNormalization" and len(wiring.constants[node.input[1]].dims) == 1:
        return -1, tuple((at, (-1,)) for at in present)
    if kind in ("BatchNormalization", "InstanceNormalization"):
        return 1, tuple((at, (-1,)) for at in present[:2])
    if kind == "Conv":
        rank = len(wiring.constants[node.input[1]].dims)
        bias: _Constants = ((2, (-1,)),) if len(present) > 1 else ()
        return 1, ((1, (-1, *(1 for _ in range(rank - 1)))), *bias)
    if kind == "Gemm" and len(node.input) > 2 and len(wiring.constants[node.input[2]].dims) != 1:
        return None
    if kind in ("Gemm", "MatMul") and len(wiring.constants[node.input[1]].dims) == 2:
        columns = (-1, 1) if is_transposed(node) else (1, -1)
        return -1, ((1, columns), *((at, (-1,)) for at in present[1:]))
    return None


def _join(
    seen: Structure, wiring: Wiring, maker: NodeProto, axis: int, constants: _Constants,
    route: Route,
) -> Joint | None:  # fmt: skip
    if not route.readers:
        return None
    first = route.readers[0]
    same = [one for one in route.readers if one.tensor == first.tensor]
    free = len(np.unique(first.ids)) == len(first.ids) and route.held.isdisjoint(first.ids.tolist())
    if not free or any(set(one.ids.tolist()) - set(first.ids.tolist()) for one in route.readers):
        return None
    separate = [_is_separate(wiring, one) for one in route.readers]
    if any(separate) and not all(separate):
        return None
    weight = np.concatenate([_rows(wiring, one) for one in same], axis=1)
    return Joint(
        maker.name, constants, tuple(route.shifts), tuple(route.readers), first.tensor, first.axis,
        first.ids, seen.shape(maker.output[0])[axis], weight, all(separate),
    )  # fmt: skip


def _is_separate(wiring: Wiring, reader: Reader) -> bool:
    return reader.weight_axis == 0 and len(wiring.constants[_weight(wiring, reader)].dims) > 2


def _weight(wiring: Wiring, reader: Reader) -> str:
    node = next(one for one in wiring.readers[reader.tensor] if one.name == reader.node)
    return str(node.input[1])


def _rows(wiring: Wiring, reader: Reader) -> NDArray[np.float32]:
    value = wiring.value(_weight(wiring, reader))
    assert value is not None  # `follow` ends at constants alone
    rows: NDArray[np.float32] = np.moveaxis(value, reader.weight_axis, 0)
    return rows.reshape(len(rows), -1)


def divide(proto: ModelProto, joint: Joint, factors: NDArray[np.float32]) -> None:
    """Divide the channels of a joint by factors, and multiply the weights that read them.

    Args:
        proto: Changed in place.
        joint: From `find_joints`, of this graph.
        factors: float32[K], all above 0, in the order of the tensor that is read.
    """
    from edge_convnext.graph.qdq import Wiring, scale_constant

    wiring = Wiring(proto)
    nodes = {node.name: node for node in proto.graph.node}
    each = np.ones(joint.channels, np.float64)
    each[joint.order] = factors
    for node, position, scale in _changes(joint, nodes, wiring, each):
        scale_constant(proto, wiring, node, position, scale.astype(np.float32))
        wiring = Wiring(proto)


def _changes(
    joint: Joint, nodes: dict[str, NodeProto], wiring: Wiring, each: NDArray[np.float64]
) -> Iterator[tuple[NodeProto, int, NDArray[np.float64]]]:
    for position, row in joint.constants:
        yield nodes[joint.maker], position, (1 / each).reshape(row)
    for shift in joint.shifts:
        yield nodes[shift.node], shift.position, 1 / each[shift.ids]
    for reader in joint.readers:
        node = nodes[reader.node]
        shape = [1] * len(wiring.constants[node.input[1]].dims)
        shape[reader.weight_axis] = -1
        yield node, 1, each[reader.ids].reshape(shape)

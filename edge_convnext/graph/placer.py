"""Placer: writes Q/DQ pairs into a float graph, by roles and a placement.

Ranges are chosen by reconstruction error (`ranges`). Weights are signed with zero point 0, per
output channel. What ONNX Runtime needs to run a whole network in INT8 is here: one grid for all
readers of a tensor and across a MaxPool, and ranges that end at the bounds of a Clip.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.graph.activations import observe
from edge_convnext.graph.affine import Grid, make_grid
from edge_convnext.graph.pair_writer import PairWriter, Weighing
from edge_convnext.graph.placements import quantized
from edge_convnext.graph.qdq import Wiring, drop_unread_constants, guard_biases
from edge_convnext.graph.ranges import choose_grid
from edge_convnext.graph.spots import find_never_negative, list_spots
from edge_convnext.graph.structure import CARRIERS, read_structure

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from edge_convnext.core.artifacts import ActivationType
    from edge_convnext.graph.activations import Activations
    from edge_convnext.graph.affine import GridType
    from edge_convnext.graph.placements import Placement
    from edge_convnext.graph.roles import Roles
    from edge_convnext.graph.spots import Spot
    from edge_convnext.graph.structure import Structure

__all__ = ["place", "placeable"]

_MOST_VALUES = 2**18  # that a range is judged by: wide tensors have enough in fewer rows
_INSIDE = 1 - 1e-6  # a range that ends at a bound must not pass it where it is rounded


def placeable(proto: ModelProto, roles: Roles, placement: Placement) -> frozenset[str]:
    """Products of a placement, without those whose weight is no stored or scaled constant."""
    stored = {tensor.name for tensor in proto.graph.initializer}
    wanted = quantized(roles, placement)
    return frozenset(
        one.name
        for one in roles.products
        if one.name in wanted and (one.weight in stored or one.computed or one.kind == "attention")
    )


def place(
    proto: ModelProto,
    roles: Roles,
    placement: Placement,
    activation_type: ActivationType,
    batches: Sequence[NDArray[np.float32]],
    ignored: Collection[str] = (),
    weighing: Weighing | None = None,
) -> ModelProto:
    """Quantize what a placement says.

    The same graph and images give the same bytes.

    Args:
        proto: Float graph; it is left as it is.
        roles: Roles of its products.
        placement: Placement that says what to quantize.
        activation_type: Type of activations; `mixed` is uint8 where a tensor is never negative
            or a Concat made it, which OpenVINO computes wrongly with int8, and int8 elsewhere.
        batches: Normalised images, float32[n, C, H, W].
        ignored: Names of nodes that stay float.
        weighing: Options of weights and ranges.

    Returns:
        A graph with explicit Q/DQ; inputs and outputs stay float32.

    Raises:
        QuantizationError: ONNX Runtime can't run the graph on the images.
    """
    weighing = weighing or Weighing()
    made = type(proto)()
    made.CopyFrom(proto)
    seen, wiring = read_structure(proto), Wiring(proto)
    wanted = placeable(proto, roles, placement) - frozenset(ignored)
    spots = list_spots(seen, wiring, roles, wanted, placement, ignored)
    watched = observe(proto, {spot.tensor: spot.axis for spot in spots}, batches)
    grids = _choose_all(seen, wiring, spots, watched, placement, activation_type, weighing)
    writer = PairWriter(made)
    for product in roles.products:
        if product.name in wanted and product.weight in wiring.constants:
            writer.weight(product, placement, weighing)
            if placement.outputs:
                writer.bias(product, grids[product.activation])
    for spot in spots:
        writer.activation(spot, grids[spot.tensor])
    writer.finish()
    guard_biases(made)
    drop_unread_constants(made)
    made.graph.ClearField("value_info")
    return made


def _choose_all(
    seen: Structure,
    wiring: Wiring,
    spots: Sequence[Spot],
    watched: Mapping[str, Activations],
    placement: Placement,
    activation_type: ActivationType,
    weighing: Weighing,
) -> dict[str, Grid]:
    never_negative = find_never_negative(seen, wiring) if activation_type == "mixed" else ()
    grids: dict[str, Grid] = {}
    for spot in spots:
        tensor, maker = spot.tensor, seen.maker.get(spot.tensor)
        if maker is not None and maker.op_type == "MaxPool" and maker.input[0] in grids:
            grids[tensor] = grids[maker.input[0]]  # it selects: values stay on their grid
            continue
        kind = _type_of(seen, tensor, activation_type, never_negative)
        grid = _choose(watched[tensor], spot, "int8" if spot.signed else kind, weighing)
        grids[tensor] = _cap(wiring, maker, grid) if placement.cap and maker else grid
    return grids


def _choose(values: Activations, spot: Spot, kind: GridType, weighing: Weighing) -> Grid:
    channels, energy = values.rows.shape[1], spot.energy
    if energy is None or len(energy) != channels:
        energy = np.ones(channels, np.float32)
    step = -(-values.rows.size // _MOST_VALUES)
    sample = replace(values, rows=values.rows[::step])
    return choose_grid(sample, energy, kind, clip=weighing.clip and not spot.signed)


def _type_of(
    seen: Structure,
    tensor: str,
    activation_type: ActivationType,
    never_negative: Collection[str],
) -> GridType:
    if activation_type != "mixed":
        return activation_type
    node = seen.maker.get(tensor)
    while node is not None and node.op_type in CARRIERS:
        node = seen.maker.get(node.input[0])
    concatenated = node is not None and node.op_type == "Concat"
    return "uint8" if concatenated or tensor in never_negative else "int8"


def _cap(wiring: Wiring, maker: NodeProto, grid: Grid) -> Grid:
    """Let a range end where the Relu or Clip that makes the tensor does.

    A runtime drops the Clip before a quantizer that can't tell the difference; ONNX Runtime leaves
    the convolution float where the range is wider (MobileNetV2: 27 of 52 in INT8, not 52).
    """
    bounds = _bounds(wiring, maker)
    if bounds is None:
        return grid
    lowest, highest = (-128, 127) if grid.kind == "int8" else (0, 255)
    low, high = ((end - grid.zero_point) * grid.scale for end in (lowest, highest))
    if grid.kind == "int8":
        low = -high
    low, high = max(low, bounds[0]), min(high, bounds[1] * _INSIDE)
    return make_grid(low, high, grid.kind) if high > low else grid


def _bounds(wiring: Wiring, maker: NodeProto) -> tuple[float, float] | None:
    if maker.op_type == "Relu":
        return 0.0, float("inf")
    if maker.op_type != "Clip":
        return None
    ends = [float("-inf"), float("inf")]
    for position, name in enumerate(maker.input[1:3]):
        value = wiring.value(name)
        if value is not None and value.size == 1:
            ends[position] = float(value.reshape(()))
    return ends[0], ends[1]

"""Placer: writes Q/DQ pairs into a float graph, by roles and a placement.

Ranges are chosen by reconstruction error (`ranges`). Weights are signed with zero point 0, per
output channel. What ONNX Runtime needs to run a whole network in INT8 is here: one grid for all
readers of a tensor and across a MaxPool, and ranges that end at the bounds of a Clip.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.graph.activations import observe
from edge_convnext.graph.affine import Grid, make_grid
from edge_convnext.graph.placements import quantized
from edge_convnext.graph.qdq import Wiring, drop_unread_constants, guard_biases, is_transposed
from edge_convnext.graph.ranges import choose_grid
from edge_convnext.graph.spots import find_never_negative, list_spots
from edge_convnext.graph.structure import CARRIERS, read_structure

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

    from edge_convnext.core.artifacts import ActivationType
    from edge_convnext.graph.activations import Activations
    from edge_convnext.graph.affine import GridType
    from edge_convnext.graph.placements import Placement
    from edge_convnext.graph.roles import Product, Roles
    from edge_convnext.graph.spots import Spot
    from edge_convnext.graph.structure import Structure

__all__ = ["Weighing", "place", "placeable"]

_TINY = 1e-12
_MOST_VALUES = 2**18  # that a range is judged by: wide tensors have enough in fewer rows
_LARGEST_BIAS = 2**30  # steps: a sum of products has room beside it in 32 bits
_INSIDE = 1 - 1e-6  # a range that ends at a bound must not pass it where it is rounded


@dataclass(frozen=True)
class Weighing:
    """How weights and ranges are quantized, beyond what a placement says."""

    clip: bool = True  # ranges by reconstruction error; False: of the values seen
    per_tensor: bool = False  # one scale for every weight
    # Largest integer of a weight; 63 keeps sums of two products within 16 bits, as CPUs without
    # VNNI add them. By name of the product; others have 127.
    largest: Mapping[str, int] | None = None


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
        placement: What to quantize.
        activation_type: Type of activations; `mixed` is uint8 where a tensor is never negative
            or a Concat made it, which OpenVINO computes wrongly with int8, and int8 elsewhere.
        batches: Normalized images, float32[n, C, H, W].
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
    writer = _Writer(made)
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


class _Writer:
    """Adds pairs to a graph, in the graph's order."""

    def __init__(self, proto: ModelProto) -> None:
        self._proto = proto
        self._nodes = {node.name: node for node in proto.graph.node}
        self._tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
        self._before: dict[str, list[NodeProto]] = {}  # by name of the node that reads a weight
        self._behind: dict[str, list[NodeProto]] = {}  # by tensor
        self._weights: dict[str, str] = {}  # by constant, its name where it is dequantized
        self._scales: dict[str, NDArray[np.float32]] = {}  # by constant

    def weight(self, product: Product, placement: Placement, weighing: Weighing) -> None:
        """Store a weight as integers behind a DequantizeLinear."""
        from onnx import helper, numpy_helper

        node, name = self._nodes[product.name], product.weight
        position = list(node.input).index(name)
        largest = (weighing.largest or {}).get(product.name, 127)
        per_tensor = weighing.per_tensor or (placement.per_tensor and node.op_type == "Conv")
        if name not in self._weights:
            tensor = self._tensors[name]
            axis = _weight_axis(node, position, len(tensor.dims), list(tensor.dims))
            stored = _store(tensor, None if per_tensor else axis, largest)
            self._proto.graph.initializer.extend(stored)
            self._weights[name] = f"{name}/Dequantize"
            self._scales[name] = numpy_helper.to_array(stored[1])
            pair = helper.make_node(
                "DequantizeLinear",
                [one.name for one in stored],
                [self._weights[name]],
                name=self._weights[name],
            )
            if stored[1].dims:
                pair.attribute.append(helper.make_attribute("axis", axis))
            self._before[node.name] = [pair]
        node.input[position] = self._weights[name]

    def bias(self, product: Product, grid: Grid) -> None:
        """Store the bias of a Gemm in 32 bits: with a float one ONNX Runtime's Gemm is float.

        It leaves that to its own pass for convolutions, and for what no quantizer follows to us.
        """
        from onnx import helper, numpy_helper

        node = self._nodes[product.name]
        tensor = self._tensors.get(node.input[2]) if len(node.input) > 2 else None
        if node.op_type != "Gemm" or tensor is None:
            return
        values = numpy_helper.to_array(tensor).reshape(-1).astype(np.float64)
        scales = np.float32(grid.scale) * self._scales[product.weight]
        scale = np.resize(scales.astype(np.float32), values.shape)  # one for all, or one for each
        steps = np.rint(values / scale)
        if np.abs(steps).max(initial=0.0) > _LARGEST_BIAS:
            return  # an output without weights: its scale says nothing of its bias
        parts = [f"{node.name}/bias_{part}" for part in ("int32", "scale", "zero_point", "float")]
        for name, value in zip(
            parts, (steps.astype(np.int32), scale, np.zeros(scale.shape, np.int32)), strict=False
        ):
            self._proto.graph.initializer.append(numpy_helper.from_array(value, name))
        pair = helper.make_node("DequantizeLinear", parts[:3], parts[3:], name=parts[3], axis=0)
        self._before.setdefault(node.name, []).append(pair)
        node.input[2] = parts[3]

    def activation(self, spot: Spot, grid: Grid) -> None:
        """Let readers of a tensor read it through a pair."""
        from onnx import helper, numpy_helper

        tensor = spot.tensor
        scale, zero, quantized, dequantized = (
            f"{tensor}/{part}" for part in ("scale", "zero_point", "Quantize", "Dequantize")
        )
        kind = np.int8 if grid.kind == "int8" else np.uint8
        self._proto.graph.initializer.extend(
            [
                numpy_helper.from_array(np.asarray(grid.scale, np.float32), scale),
                numpy_helper.from_array(np.asarray(grid.zero_point, kind), zero),
            ]
        )
        for node in self._proto.graph.node:
            if spot.readers is None or node.name in spot.readers:
                node.input[:] = [dequantized if name == tensor else name for name in node.input]
        self._behind[tensor] = [
            helper.make_node("QuantizeLinear", [tensor, scale, zero], [quantized], name=quantized),
            helper.make_node(
                "DequantizeLinear", [quantized, scale, zero], [dequantized], name=dequantized
            ),
        ]

    def finish(self) -> None:
        """Put each pair behind what makes its tensor, and each weight before what reads it."""
        graph = self._proto.graph
        ordered: list[NodeProto] = []
        for value in graph.input:
            ordered += self._behind.get(value.name, ())
        for node in graph.node:
            ordered += [*self._before.get(node.name, ()), node]
            for output in node.output:
                ordered += self._behind.get(output, ())
        del graph.node[:]
        graph.node.extend(ordered)


def _weight_axis(node: NodeProto, position: int, rank: int, dims: Sequence[int]) -> int | None:
    """Axis of the outputs; None where kernels take one scale alone."""
    if node.op_type == "Conv" or is_transposed(node):
        return 0
    if any(size > 1 for size in dims[: rank - 2]):
        return None  # a product of several matrices
    return rank - 1 if position == 1 else rank - 2


def _store(tensor: TensorProto, axis: int | None, largest: int) -> list[TensorProto]:
    """Integers, scale and zero point of a weight, symmetric."""
    from onnx import numpy_helper

    weight = numpy_helper.to_array(tensor)
    others = tuple(at for at in range(weight.ndim) if at != axis)
    peak = np.abs(weight).max() if axis is None else np.abs(weight).max(axis=others, keepdims=True)
    scale = np.maximum(peak, _TINY).astype(np.float32) / np.float32(largest)
    integers = np.clip(np.rint(weight / scale), -largest, largest).astype(np.int8)
    flat = scale.reshape(()) if axis is None else scale.reshape(-1)
    return [
        numpy_helper.from_array(integers, f"{tensor.name}/int8"),
        numpy_helper.from_array(flat, f"{tensor.name}/int8_scale"),
        numpy_helper.from_array(np.zeros(flat.shape, np.int8), f"{tensor.name}/int8_zero_point"),
    ]

"""Place: insert Q/DQ for TensorRT, also for computed weights.

NNCF quantizes constants and the values that products read. The forms for TensorRT need more:

- one scale for the whole weight of a convolution, so that the residual addition fuses with it;
- a Q/DQ pair on a weight that GRN scales for every image;
- a Q/DQ pair on GELU's output that both GRN's reduction and the product read, so that the output
  is stored only once, as INT8.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import QuantizationError
from edge_convnext.core.files import AnyPath
from edge_convnext.core.sections import QuantizeConfig
from edge_convnext.core.step import Stage
from edge_convnext.graph.affine import TINY, WEIGHT_MAX
from edge_convnext.graph.structure import PRODUCTS
from edge_convnext.networks.family import is_placed_by_roles, quantized_nodes
from edge_convnext.stages.quantize_roles import place_by_roles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from edge_convnext.core.artifacts import PlacementName, WeightRounding
    from edge_convnext.graph.qdq import Wiring

__all__ = ["STAGE", "place_qdq"]

_MOVES = frozenset({"Reshape", "Transpose"})  # of the GPU forms, before the products of a block
STAGE = Stage("place", 1, ("numpy", "onnx", "onnxruntime"), entry="quantize")


@dataclass(frozen=True)
class _Product:
    """A convolution or matrix product to be quantized."""

    node: NodeProto
    activation: str  # the tensor to quantize, before operations that only move values
    axis: int  # the channel axis of `activation`
    weight: str  # a constant, or the tensor of a computed weight
    energy: NDArray[np.float32]  # [C], sum of squares of the weights that read each channel
    is_computed: bool


def place_qdq(
    model: OnnxModel,
    batches: Iterable[NDArray[np.float32]],
    placement: PlacementName,
    output: AnyPath,
    weight_rounding: WeightRounding = "auto",
) -> OnnxModel:
    """Quantize the products of a placement to signed, symmetric INT8.

    Activations get one scale, chosen by reconstruction error (`graph.ranges`). A constant weight
    gets one scale per output channel in a matrix product, and a single scale in a convolution. A
    computed weight gets one scale from its largest value on the calibration images. A family whose
    placements go by roles has the scales of its placement (`graph.placements`).

    Args:
        model: An FP32 graph from this package's export.
        batches: Normalised calibration images, float32[n, C, H, W].
        placement: The policy that selects the products.
        output: The file to write the Q/DQ graph to.
        weight_rounding: Rounding of the weights of a family whose placements go by roles
            (`graph.weight_rounding`); others have the nearest integers.

    Returns:
        The INT8 graph; inputs, outputs and everything else stay float32.

    Raises:
        QuantizationError: The graph is not FP32, the placement selects no product, or a weight is
            neither a constant nor a constant times a factor.
        ArtifactError: The file is missing, or not ONNX.

    Source:
        TensorRT, "Working with Quantized Types".
    """
    output = Path(output)
    from edge_convnext.graph.activations import observe
    from edge_convnext.graph.file import read_proto, set_facts, write_proto
    from edge_convnext.graph.qdq import Wiring, drop_unread_constants
    from edge_convnext.graph.ranges import choose_grid

    if model.precision != "fp32":
        raise QuantizationError(f"{model.path}: is {model.precision}; quantize the FP32 graph")
    proto = read_proto(model.path)
    if is_placed_by_roles(proto, model.path):
        config = QuantizeConfig(weight_rounding=weight_rounding)
        made, names = place_by_roles(
            proto, list(batches), placement, config, "int8", (), model.path
        )
        write_proto(made, output)
        return OnnxModel(output, "int8", model.form, placement, len(names))
    products = _find_products(proto, Wiring(proto), placement, model.path)
    if not products:
        raise QuantizationError(
            f"{model.path}: the placement '{placement}' selects no product; it needs the module "
            "names of this package's export"
        )
    watched = {one.activation: one.axis for one in products}
    watched |= {one.weight: 0 for one in products if one.is_computed}
    seen = observe(proto, watched, list(batches))
    for tensor in dict.fromkeys(one.activation for one in products):
        energy = np.sum([one.energy for one in products if one.activation == tensor], axis=0)
        grid = choose_grid(seen[tensor], energy, "int8", clip=True)
        _insert_pair(proto, tensor, grid.scale)
    for one in products:
        if one.is_computed:
            largest = max(-float(seen[one.weight].low.min()), float(seen[one.weight].high.max()))
            _insert_pair(proto, one.weight, max(largest, TINY) / WEIGHT_MAX)
        else:
            _quantize_constant(proto, one.node, per_tensor=one.node.op_type == "Conv")
    drop_unread_constants(proto)
    set_facts(proto, precision="int8", placement=placement)
    write_proto(proto, output)
    return OnnxModel(output, "int8", model.form, placement, len(products))


def _find_products(
    proto: ModelProto, wiring: Wiring, placement: PlacementName, path: Path
) -> list[_Product]:
    weighted = [node for node in proto.graph.node if node.op_type in PRODUCTS]
    wanted = quantized_nodes(proto, path, [node.name for node in weighted], placement)
    sizes = _infer_sizes(proto)
    return [
        _describe(wiring, node, sizes) for node in weighted if wanted is None or node.name in wanted
    ]


def _infer_sizes(proto: ModelProto) -> Mapping[str, tuple[int, ...]]:
    """Infer the values' sizes, 0 where dynamic; empty for a graph without a Reshape."""
    import onnx

    if not any(node.op_type == "Reshape" for node in proto.graph.node):
        return {}
    graph = onnx.shape_inference.infer_shapes(proto).graph
    return {
        value.name: tuple(one.dim_value for one in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info)
    }


def _describe(wiring: Wiring, node: NodeProto, sizes: Mapping[str, tuple[int, ...]]) -> _Product:
    from edge_convnext.graph.ranges import weight_energy

    axis = 1 if node.op_type == "Conv" else -1
    activation, axis = _walk_up(wiring, node.input[0], axis, sizes)
    weight = node.input[1]
    if weight in wiring.constants:
        return _Product(node, activation, axis, weight, weight_energy(wiring, node), False)
    computed, _ = _walk_up(wiring, weight, 0, sizes)
    factor = wiring.producer.get(computed)
    read = factor.input if factor is not None and factor.op_type == "Mul" else ()
    constant = next((name for name in read if name in wiring.constants), None)
    if constant is None:
        raise QuantizationError(
            f"{node.name}: its weight, {computed}, is neither a constant nor a scaled constant; "
            "choose another form"
        )
    return _Product(node, activation, axis, computed, _computed_energy(wiring, constant), True)


def _walk_up(
    wiring: Wiring, tensor: str, axis: int, sizes: Mapping[str, tuple[int, ...]]
) -> tuple[str, int]:
    """Return the tensor before all moves, and the axis of the channels in it."""
    node = wiring.producer.get(tensor)
    while node is not None and node.op_type in _MOVES:
        if node.op_type == "Transpose":
            order = next(item.ints for item in node.attribute if item.name == "perm")
            axis = order[axis]
        elif sizes.get(tensor) and sizes.get(node.input[0]):
            axis = _axis_before(sizes[node.input[0]], sizes[tensor], axis)
        tensor = node.input[0]
        node = wiring.producer.get(tensor)
    return tensor, axis


def _axis_before(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> int:
    """Return the channel axis before a reshape: the same axis if its size did not change."""
    there = -len(before) <= axis < len(before)
    if (there and before[axis] == after[axis]) or before.count(after[axis]) != 1:
        return axis
    return before.index(after[axis])


def _computed_energy(wiring: Wiring, weight: str) -> NDArray[np.float32]:
    """Sum the squares per input channel of a weight [out, in, …], before it is scaled."""
    value = wiring.value(weight)
    assert value is not None  # the caller found it among the constants
    energy: NDArray[np.float32] = np.square(value.reshape(*value.shape[:2])).sum(axis=0)
    return energy


def _insert_pair(proto: ModelProto, tensor: str, scale: float) -> None:
    """Insert a Q/DQ pair between a tensor and all its readers."""
    from onnx import helper, numpy_helper

    names = [f"{tensor}/{part}" for part in ("scale", "zero_point", "Quantize", "Dequantize")]
    scale_name, zero_name, quantized, dequantized = names
    for node in proto.graph.node:
        node.input[:] = [dequantized if name == tensor else name for name in node.input]
    proto.graph.initializer.extend(
        [
            numpy_helper.from_array(np.asarray(scale, np.float32), scale_name),
            numpy_helper.from_array(np.asarray(0, np.int8), zero_name),
        ]
    )
    makers = (at for at, node in enumerate(proto.graph.node) if tensor in node.output)
    made = next(makers, -1)  # the images have none
    for offset, (kind, source, result) in enumerate(
        [("QuantizeLinear", tensor, quantized), ("DequantizeLinear", quantized, dequantized)]
    ):
        node = helper.make_node(kind, [source, scale_name, zero_name], [result], name=result)
        proto.graph.node.insert(made + 1 + offset, node)


def _quantize_constant(proto: ModelProto, node: NodeProto, *, per_tensor: bool) -> None:
    """Store a weight as integers behind a DequantizeLinear."""
    from onnx import helper, numpy_helper

    from edge_convnext.graph.qdq import weight_axes

    name = node.input[1]
    weight = numpy_helper.to_array(next(one for one in proto.graph.initializer if one.name == name))
    axis, _ = weight_axes(node, weight.ndim)
    others = tuple(at for at in range(weight.ndim) if at != axis)
    largest = np.abs(weight).max() if per_tensor else np.abs(weight).max(axis=others, keepdims=True)
    scale = np.maximum(largest, TINY).astype(np.float32) / np.float32(WEIGHT_MAX)
    integers = np.clip(np.rint(weight / scale), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)
    stored, scale_name, zero_name = f"{name}.int8", f"{name}.scale", f"{name}.zero_point"
    flat = scale.reshape(()) if per_tensor else scale.reshape(-1)
    proto.graph.initializer.extend(
        [
            numpy_helper.from_array(integers, stored),
            numpy_helper.from_array(flat, scale_name),
            numpy_helper.from_array(np.zeros(flat.shape, np.int8), zero_name),
        ]
    )
    dequantized = f"{name}/Dequantize"
    pair = helper.make_node(
        "DequantizeLinear",
        [stored, scale_name, zero_name],
        [dequantized],
        name=dequantized,
    )
    if not per_tensor:
        pair.attribute.append(helper.make_attribute("axis", axis))
    position = next(at for at, one in enumerate(proto.graph.node) if one.name == node.name)
    node.input[1] = dequantized
    proto.graph.node.insert(position, pair)

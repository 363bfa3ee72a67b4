"""Weight rounding: integers that keep what a product computes, not those that are nearest.

Rounding each weight to its nearest step leaves errors that add up where inputs are alike. Here the
weights of an output are rounded one after the other, and those still to come make up for the error
so far, as far as the inputs of real images let them. The mean of what is left goes into the bias.
A row keeps its nearest integers where images that did not decide show no gain.

Source: GPTQ, arXiv 2210.17323; bias correction, arXiv 1906.04721, section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from edge_convnext.graph.affine import WEIGHT_MAX, Grid
from edge_convnext.graph.input_moments import MOST_BYTES, Reader, collect_moments
from edge_convnext.graph.qdq import Wiring, is_transposed, weight_axes
from edge_convnext.graph.row_rounding import Floats, round_rows
from edge_convnext.graph.structure import PRODUCTS, integers, pads_itself, scales

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import ModelProto, NodeProto, TensorProto

    from edge_convnext.graph.affine import GridType
    from edge_convnext.graph.input_moments import Moments

__all__ = ["round_by_reconstruction"]


@dataclass(frozen=True)
class _Stored:
    """The stored weight of one product, as rows of what one output reads."""

    reader: Reader
    name: str  # constant of the quantized graph
    floats: NDArray[np.float32]  # in the shape of the graph, as the integers are
    nearest: NDArray[np.int8]
    scale: Floats  # [groups, rows]
    bias: _Bias | None

    @property
    def weight(self) -> Floats:
        """float64[groups, rows, columns]; made when asked for, since there are many."""
        return self._rows(self.floats)

    @property
    def steps(self) -> Floats:
        """The nearest integers, float64[groups, rows, columns]."""
        return self._rows(self.nearest)

    def _rows(self, values: NDArray[np.float32] | NDArray[np.int8]) -> Floats:
        shape = (self.reader.groups, -1, self.reader.columns)
        rows = values.T if _is_turned(self.reader.node) else values
        return rows.reshape(shape).astype(np.float64)


@dataclass(frozen=True)
class _Bias:
    """A bias that one product alone has."""

    name: str  # constant
    scale: Floats | None  # [outputs] of one in steps; None for floats


def round_by_reconstruction(
    quantized: ModelProto,
    reference: ModelProto,
    batches: Sequence[NDArray[np.float32]],
) -> int:
    """Round the weights of a Q/DQ graph anew, and correct its biases.

    The same graphs and images give the same integers. Scales stay as they are, and no integer of a
    weight exceeds its largest: some CPUs add two products in 16 bits. A weight stays as it is that
    several products read, that is no matrix or convolution over two axes, or that has so many
    inputs (over 8,192) that their moments take more memory than a classifier should: VGG's and
    AlexNet's first linear layers.

    Args:
        quantized: Graph with explicit Q/DQ; it is changed in place.
        reference: Float graph that it was made from, with the same node names.
        batches: Normalised images, float32[n, C, H, W].

    Returns:
        Number of products whose weight was rounded anew.

    Raises:
        QuantizationError: ONNX Runtime can't run the float graph on the images.
    """
    found = _find_stored(quantized, reference)
    by_name = {one.reader.node.name: one for one in found}
    tensors = {one.name: one for one in quantized.graph.initializer}
    for reader, seen, unseen in collect_moments(reference, [one.reader for one in found], batches):
        one = by_name[reader.node.name]
        steps = _choose(one, seen, unseen)
        integers = _to_shape(one, steps).astype(np.int8)
        tensors[one.name].CopyFrom(numpy_helper.from_array(integers, one.name))
        if one.bias is not None:
            now = steps * one.scale[:, :, None]
            _shift_bias(tensors, one.bias, _shift(one.weight, now, seen, unseen))
    return len(found)


def _shift(before: Floats, now: Floats, seen: Moments, unseen: Moments) -> Floats:
    """What the mean of each output lost, [outputs]; 0 if one half does not help the other."""

    def lost(inputs: Moments) -> Floats:
        wanted = np.matmul(before, inputs.float_mean[:, :, None])
        found: Floats = wanted - np.matmul(now, inputs.mean[:, :, None])
        return found.reshape(-1)

    one, other = lost(seen), lost(unseen)
    return np.where(np.abs(other - one) < np.abs(other), (one + other) / 2, 0.0)


def _choose(one: _Stored, seen: Moments, unseen: Moments) -> Floats:
    """Rounded rows; the nearest integers for each row that gains nothing by other images."""
    centred = one.bias is not None
    weight, nearest = one.weight, one.steps
    largest = min(int(np.abs(nearest).max()), WEIGHT_MAX)
    steps = round_rows(weight, one.scale, seen.matrix(centred=centred), largest)
    judge = unseen.matrix(centred=centred)

    def cost(integers: Floats) -> Floats:
        error = weight - integers * one.scale[:, :, None]
        total: Floats = np.sum(np.matmul(error, judge) * error, axis=2)
        return total

    better = cost(steps) < cost(nearest)
    return np.where(better[:, :, None], steps, nearest)


def _find_stored(quantized: ModelProto, reference: ModelProto) -> list[_Stored]:
    wiring, float_wiring = Wiring(quantized), Wiring(reference)
    originals = {node.name: node for node in reference.graph.node}
    found = (
        _read_stored(wiring, float_wiring, node, originals[node.name])
        for node in quantized.graph.node
        if node.op_type in PRODUCTS and node.name in originals and wiring.is_quantized(node)
    )
    return [one for one in found if one is not None]


def _read_stored(
    wiring: Wiring, float_wiring: Wiring, node: NodeProto, original: NodeProto
) -> _Stored | None:
    """The weight of a product; None for one that stays as it is."""
    weight = float_wiring.value(original.input[1])
    pair = wiring.producer.get(node.input[1])
    if weight is None or pair is None or pair.op_type != "DequantizeLinear":
        return None
    integers, scale = wiring.value(pair.input[0]), wiring.value(pair.input[1])
    if integers is None or scale is None or integers.dtype != np.int8:
        return None
    reader = _as_reader(original, weight, _grid_of(wiring, node))
    alone = wiring.is_private(pair.output[0]) and wiring.is_private(pair.input[0])
    if reader is None or not alone or integers.shape != weight.shape:
        return None
    if reader.bytes > MOST_BYTES:
        return None
    outputs = weight.size // reader.columns
    if scale.size not in (1, outputs):
        return None
    scales = np.broadcast_to(scale.astype(np.float64).reshape(-1), outputs)
    by_group = scales.reshape(reader.groups, -1)
    bias = _find_bias(wiring, node, outputs)
    return _Stored(reader, pair.input[0], weight, integers, by_group, bias)


def _grid_of(wiring: Wiring, node: NodeProto) -> Grid | None:
    """The grid of what a product reads."""
    pair = wiring.quantizer(node.input[0])
    assert pair is not None  # it is a quantized product
    scale, zero = (wiring.value(name) for name in pair.input[1:3])
    if scale is None or zero is None or scale.size != 1:
        return None
    kind: GridType = "int8" if zero.dtype == np.int8 else "uint8"
    return Grid(float(scale.item()), int(zero.item()), kind)


def _as_reader(node: NodeProto, weight: NDArray[np.float32], grid: Grid | None) -> Reader | None:
    if node.op_type != "Conv":
        (transposed,) = integers(node, "transA", (0,))
        if weight.ndim != 2 or transposed or scales(node):
            return None
        return Reader(node, 1, weight.shape[weight_axes(node, 2)[1]], None, grid)
    if weight.ndim != 4 or pads_itself(node):
        return None
    (groups,) = integers(node, "group", (1,))
    kernel = (weight.shape[2], weight.shape[3])
    return Reader(node, groups, int(np.prod(weight.shape[1:])), kernel, grid)


def _is_turned(node: NodeProto) -> bool:
    """Whether a weight is [inputs, outputs]."""
    return node.op_type != "Conv" and not is_transposed(node)


def _to_shape(one: _Stored, steps: Floats) -> Floats:
    shape = one.nearest.shape
    if _is_turned(one.reader.node):
        return steps.reshape(shape[::-1]).T
    return steps.reshape(shape)


def _find_bias(wiring: Wiring, node: NodeProto, outputs: int) -> _Bias | None:
    """The bias of a product, or of the Add that alone reads it."""
    name = node.input[2] if len(node.input) > 2 else ""
    if node.op_type == "MatMul":
        name = _added(wiring, node)
    pair = wiring.producer.get(name)
    scale = None
    if pair is not None and pair.op_type == "DequantizeLinear" and wiring.is_private(name):
        name, scale = pair.input[0], wiring.value(pair.input[1])
        if scale is None:
            return None
        scale = np.broadcast_to(scale.astype(np.float64).reshape(-1), outputs)
    value = wiring.value(name)
    fits = value is not None and value.size == outputs and wiring.is_private(name)
    return _Bias(name, scale) if fits else None


def _added(wiring: Wiring, node: NodeProto) -> str:
    readers = wiring.readers.get(node.output[0], [])
    if len(readers) != 1 or readers[0].op_type != "Add" or not wiring.is_private(node.output[0]):
        return ""
    return next((name for name in readers[0].input if name != node.output[0]), "")


def _shift_bias(tensors: Mapping[str, TensorProto], bias: _Bias, shift: Floats) -> None:
    tensor = tensors[bias.name]
    value = numpy_helper.to_array(tensor)
    if bias.scale is None:
        moved = value + shift.reshape(value.shape)
    else:
        moved = value + np.rint(shift / bias.scale).reshape(value.shape)
    tensor.CopyFrom(numpy_helper.from_array(moved.astype(value.dtype), bias.name))

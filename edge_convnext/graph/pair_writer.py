"""Pair writer: Q/DQ nodes, integer weights and 32-bit biases, in the graph's order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.graph.affine import TINY
from edge_convnext.graph.qdq import weight_axes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

    from edge_convnext.graph.affine import Grid
    from edge_convnext.graph.placements import Placement
    from edge_convnext.graph.roles import Product
    from edge_convnext.graph.spots import Spot

__all__ = ["PairWriter", "Weighing"]

_LARGEST_BIAS = 2**30  # steps: a sum of products has room beside it in 32 bits


@dataclass(frozen=True)
class Weighing:
    """How weights and ranges are quantized, beyond what a placement says."""

    clip: bool = True  # ranges by reconstruction error; False: of the values seen
    per_tensor: bool = False  # one scale for every weight
    # Largest integer of a weight; 63 keeps sums of two products within 16 bits, as CPUs without
    # VNNI add them. By name of the product; others have 127.
    largest: Mapping[str, int] | None = None


class PairWriter:
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

        ONNX Runtime does so itself for convolutions, but not for a Gemm that no quantizer follows.
        """
        from onnx import helper, numpy_helper

        node = self._nodes[product.name]
        tensor = self._tensors.get(node.input[2]) if len(node.input) > 2 else None
        if node.op_type != "Gemm" or tensor is None:
            return
        bias = numpy_helper.to_array(tensor).reshape(-1).astype(np.float64)
        scales = np.float32(grid.scale) * self._scales[product.weight]
        scale = np.resize(scales.astype(np.float32), bias.shape)  # one for all, or one for each
        steps = np.rint(bias / scale)
        if np.abs(steps).max(initial=0.0) > _LARGEST_BIAS:
            return  # an output without weights: its scale says nothing of its bias
        *stored, dequantized = (
            f"{node.name}/bias_{part}" for part in ("int32", "scale", "zero_point", "float")
        )
        values = (steps.astype(np.int32), scale, np.zeros(scale.shape, np.int32))
        for name, value in zip(stored, values, strict=True):
            self._proto.graph.initializer.append(numpy_helper.from_array(value, name))
        pair = helper.make_node("DequantizeLinear", stored, [dequantized], name=dequantized, axis=0)
        self._before.setdefault(node.name, []).append(pair)
        node.input[2] = dequantized

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
    axis = rank - 2 if position == 0 else weight_axes(node, rank)[0]
    several = axis > 0 and any(size > 1 for size in dims[: rank - 2])  # a product of matrices
    return None if several else axis


def _store(tensor: TensorProto, axis: int | None, largest: int) -> list[TensorProto]:
    """Integers, scale and zero point of a weight, symmetric."""
    from onnx import numpy_helper

    weight = numpy_helper.to_array(tensor)
    others = tuple(at for at in range(weight.ndim) if at != axis)
    peak = np.abs(weight).max() if axis is None else np.abs(weight).max(axis=others, keepdims=True)
    scale = np.maximum(peak, TINY).astype(np.float32) / np.float32(largest)
    integers = np.clip(np.rint(weight / scale), -largest, largest).astype(np.int8)
    flat = scale.reshape(()) if axis is None else scale.reshape(-1)
    return [
        numpy_helper.from_array(integers, f"{tensor.name}/int8"),
        numpy_helper.from_array(flat, f"{tensor.name}/int8_scale"),
        numpy_helper.from_array(np.zeros(flat.shape, np.int8), f"{tensor.name}/int8_zero_point"),
    ]

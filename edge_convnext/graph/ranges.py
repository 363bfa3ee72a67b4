"""Ranges: the scale and zero point of each activation quantizer, by reconstruction error.

A range that contains every value spends its steps on a few outliers. A narrow range clips them, and
even the range of all values seen clips those of other images. Both errors reach the output through
the weights: an error e_c of channel c costs |e_c|^2 times the energy of the weights that read it.
For each tensor the range with the least cost is taken, judged on images that did not set it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.graph.activations import Activations, observe
from edge_convnext.graph.affine import Grid, make_grid
from edge_convnext.graph.qdq import weight_axes
from edge_convnext.graph.structure import PRODUCTS, integers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.affine import GridType
    from edge_convnext.graph.qdq import Wiring

__all__ = ["choose_grid", "choose_ranges", "set_ranges", "weight_energy"]

_SHARES = tuple(np.geomspace(2.5, 0.25, 41))  # shares of the range seen that are tried


@dataclass(frozen=True)
class _Quantizer:
    node: str  # QuantizeLinear
    tensor: str
    axis: int  # of the channels
    energy: NDArray[np.float32]  # [C], of the weights that read each channel


def choose_ranges(
    quantized: ModelProto,
    reference: ModelProto,
    batches: Sequence[NDArray[np.float32]],
    kind: GridType,
    *,
    clip: bool,
) -> dict[str, Grid]:
    """Choose the grid of every activation quantizer of a convolution or matrix product.

    Args:
        quantized: Graph with explicit Q/DQ; its scales do not matter.
        reference: Float graph that it was made from, with the same tensor names.
        batches: Normalised images, float32[n, C, H, W].
        kind: Type of the activations.
        clip: True searches; False takes the range of the values seen.

    Returns:
        Grids by name of the QuantizeLinear node.
    """
    quantizers = _find_quantizers(quantized, reference)
    watched = {one.tensor: one.axis for one in quantizers}
    seen = observe(reference, watched, batches)
    return {
        one.node: choose_grid(seen[one.tensor], one.energy, kind, clip=clip) for one in quantizers
    }


def set_ranges(proto: ModelProto, grids: dict[str, Grid]) -> None:
    """Write grids into QuantizeLinear nodes and the DequantizeLinear that read them."""
    from onnx import numpy_helper

    from edge_convnext.graph.qdq import Wiring, drop_unread_constants

    wiring = Wiring(proto)
    for node in [node for node in proto.graph.node if node.name in grids]:
        grid = grids[node.name]
        scale, zero_point = f"{node.name}.scale", f"{node.name}.zero_point"
        kind = np.int8 if grid.kind == "int8" else np.uint8
        proto.graph.initializer.extend(
            [
                numpy_helper.from_array(np.asarray(grid.scale, np.float32), scale),
                numpy_helper.from_array(np.asarray(grid.zero_point, kind), zero_point),
            ]
        )
        for one in (node, *wiring.readers[node.output[0]]):
            one.input[1:] = [scale, zero_point]
    drop_unread_constants(proto)


def _find_quantizers(quantized: ModelProto, reference: ModelProto) -> list[_Quantizer]:
    from edge_convnext.graph.qdq import Wiring

    wiring, float_wiring = Wiring(quantized), Wiring(reference)
    readers = {node.name: node for node in reference.graph.node}
    found: dict[str, _Quantizer] = {}
    for node in quantized.graph.node:
        if node.op_type not in PRODUCTS or not wiring.is_quantized(node):
            continue
        dequantize = wiring.producer[node.input[0]]
        if dequantize.op_type != "DequantizeLinear":
            continue  # an operation lies between: its channels may be elsewhere
        quantize = wiring.producer.get(dequantize.input[0])
        if quantize is None:
            continue  # a constant, stored as integers
        energy = weight_energy(float_wiring, readers[node.name])
        axis = 1 if node.op_type == "Conv" else -1
        before = found.get(quantize.name)
        if before is not None:
            energy = energy + before.energy
        found[quantize.name] = _Quantizer(quantize.name, quantize.input[0], axis, energy)
    return list(found.values())


def weight_energy(wiring: Wiring, node: NodeProto) -> NDArray[np.float32]:
    """Sum of the squared weights of a float product, by input channel."""
    weight = wiring.value(node.input[1])
    assert weight is not None  # it is quantized in the other graph
    _, inputs = weight_axes(node, weight.ndim)
    (groups,) = integers(node, "group", (1,))
    if groups > 1:
        if weight.shape[:2] != (groups, 1):
            return _grouped_energy(weight, groups)
        inputs = 0  # a depthwise weight is [C, 1, kh, kw]
    others = tuple(axis for axis in range(weight.ndim) if axis != inputs)
    energy: NDArray[np.float32] = np.square(weight).sum(axis=others)
    return energy


def _grouped_energy(weight: NDArray[np.float32], groups: int) -> NDArray[np.float32]:
    """Of a weight [outputs, inputs of a group, …]: each group's outputs read its own inputs."""
    outputs, inputs = weight.shape[:2]
    apart = np.square(weight).reshape(groups, outputs // groups, inputs, -1)
    energy: NDArray[np.float32] = apart.sum(axis=(1, 3)).reshape(-1)
    return energy


def choose_grid(
    seen: Activations, energy: NDArray[np.float32], kind: GridType, *, clip: bool
) -> Grid:
    """Choose the grid of one tensor.

    Args:
        seen: Values of the tensor.
        energy: [C], sum of the squared weights that read each channel.
        kind: Type of the grid.
        clip: True searches; False takes the range of the values seen.
    """
    low, high = float(seen.low.min()), float(seen.high.max())
    whole = make_grid(low, high, kind)
    if not clip:
        return whole

    def cost(grid: Grid) -> float:
        error = grid.round(seen.rows)
        error -= seen.rows
        np.square(error, out=error)
        return float(error.mean(axis=0, dtype=np.float64) @ energy)

    if kind == "int8":
        return min((make_grid(share * low, share * high, kind) for share in _SHARES), key=cost)
    # The two ends depend on each other only through the step.
    for _ in range(2):
        low = min(
            (share * float(seen.low.min()) for share in _SHARES),
            key=lambda end: cost(make_grid(end, high, kind)),
        )
        high = min(
            (share * float(seen.high.max()) for share in _SHARES),
            key=lambda end: cost(make_grid(low, end, kind)),
        )
    return make_grid(low, high, kind)

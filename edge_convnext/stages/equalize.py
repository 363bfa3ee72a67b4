"""Equalize: move scales per channel from activations into the weights that read them.

A quantizer has one scale for a whole activation tensor. If a few channels have large values, only
a few steps are left for the others. With a positive s_c per channel, W x = (W diag(s)) (x / s):
the outliers shrink, and the per-channel weights absorb them. The division costs nothing in the
operation that makes x: LayerNormalization has a scale per channel, and GRN, x * (gamma * n + 1),
takes it into gamma and the 1. A LayerNorm that is written out gets one more multiplication, which
OpenVINO runs in the kernel of the norm's last operation. In graphs of the other families such
places are found by structure (`equalize_sites`).

|s_c| = max|x_c|^alpha / max|W_c|^(1 - alpha). Each layer has the alpha for which its quantized
output is nearest to the float output on sampled activations. For unsigned activations some s_c
are negative (`equalize_factors`).

Source: SmoothQuant, arXiv 2211.10438; the search is this project's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.artifacts import ActivationType, OnnxModel
from edge_convnext.core.errors import ArtifactError, QuantizationError
from edge_convnext.core.files import AnyPath, atomic_path
from edge_convnext.core.step import Stage
from edge_convnext.graph.activations import observe
from edge_convnext.graph.pooled_scale import is_pooled
from edge_convnext.graph.structure import PRODUCTS
from edge_convnext.networks.family import family_of_graph
from edge_convnext.stages.equalize_factors import choose_factors
from edge_convnext.stages.equalize_sites import equalize_joints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from edge_convnext.core.sections import EqualizeConfig
    from edge_convnext.graph.qdq import Wiring

__all__ = ["STAGE", "Site", "apply_factors", "equalize", "find_sites"]

STAGE = Stage("equalize", 4, ("onnx", "onnxruntime"), max_error=1e-3)


def equalize(
    model: OnnxModel,
    batches: Sequence[NDArray[np.float32]],
    config: EqualizeConfig,
    activation_type: ActivationType,
    output: AnyPath,
) -> OnnxModel:
    """Rescale the channels between normalisations and the products that read them.

    Args:
        model: An FP32 graph.
        batches: Normalised calibration images, float32[n, C, H, W].
        config: The alpha for all layers, or the choice of the best one for each.
        activation_type: The type that activations will be quantized to.
        output: The file to write the graph to.

    Returns:
        The FP32 graph to quantize, the same function up to rounding; unchanged if nothing can be
        rescaled.

    Raises:
        QuantizationError: The graph can't be run on the images.
        ArtifactError: There is no such graph.
    """
    output = Path(output)
    import onnx

    from edge_convnext.graph.qdq import drop_unread_constants

    if model.precision != "fp32":
        raise QuantizationError(f"{model.path}: is {model.precision}; equalize the FP32 graph")
    if not model.path.is_file():
        raise ArtifactError(f"{model.path}: no such ONNX file; export the model first")
    proto = onnx.load(str(model.path))
    if _is_by_role(proto, model.path):
        equalize_joints(proto, batches, config.alpha, activation_type)
        drop_unread_constants(proto)
    elif sites := find_sites(proto):
        watched = {site.tensor: site.axis for site in sites}
        seen = observe(proto, watched, batches)
        for site in sites:
            factors = choose_factors(
                site.weight, site.repeats, seen[site.tensor], config.alpha, activation_type,
                turn=site.may_turn,
            )  # fmt: skip
            if factors is not None:
                apply_factors(proto, site, factors)
        drop_unread_constants(proto)
    with atomic_path(output) as scratch:
        scratch.write_bytes(proto.SerializeToString(deterministic=True))
    return replace(model, path=output)


def _is_by_role(proto: ModelProto, path: Path) -> bool:
    """Whether the names of a graph's nodes tell nothing: it is of a family that says so."""
    try:
        return family_of_graph(proto, path).parts.by_role
    except ArtifactError:
        return False


@dataclass(frozen=True)
class Site:
    """A tensor whose channels can be rescaled, and the one weighted operation that reads it."""

    producer: str  # name of the node that makes the tensor
    tensor: str
    axis: int  # the channel axis
    reader: str  # name of the node that reads it: Conv, MatMul or Gemm
    weight: NDArray[np.float32]  # [channels, everything else]
    repeats: int  # rows of the reader's weight per channel; above 1 if patches were flattened
    # False for LayerNormalization: OpenVINO 2026.4 computes one of negative scale wrongly if a
    # quantizer follows. A norm has hardly any channels whose sign is worth turning.
    may_turn: bool


def find_sites(proto: ModelProto) -> list[Site]:
    """Find every normalisation that one convolution or product reads, in graph order."""
    from edge_convnext.graph.qdq import Wiring

    wiring = Wiring(proto)
    return [
        site
        for node in proto.graph.node
        if node.op_type in PRODUCTS and wiring.value(node.input[1]) is not None
        if (site := _find_site(wiring, node)) is not None
    ]


def _find_site(wiring: Wiring, reader: NodeProto) -> Site | None:
    tensor, moved = reader.input[0], False
    producer = wiring.producer.get(tensor)
    while producer is not None and producer.op_type in ("Transpose", "Reshape"):
        if not wiring.is_private(tensor):
            return None
        moved |= producer.op_type == "Reshape"
        tensor = producer.input[0]
        producer = wiring.producer.get(tensor)
    if producer is None or not wiring.is_private(tensor):
        return None
    if producer.op_type == "LayerNormalization":
        axis, channels = -1, wiring.constants[producer.input[1]].dims[0]
    elif (
        producer.op_type == "Mul"
        and not is_pooled(wiring, tensor)  # OpenVINO computes that wrongly (`mean-scale`)
        and (row := _channel_row(wiring, producer, reader)) is not None
    ):
        axis, channels = row
    else:
        return None
    weight = _input_first(wiring, reader)
    if weight.shape[0] % channels:
        return None
    repeats = weight.shape[0] // channels
    if repeats > 1 and not moved:
        return None
    rows = weight.reshape(repeats, channels, -1).transpose(1, 0, 2).reshape(channels, -1)
    may_turn = producer.op_type != "LayerNormalization"
    return Site(producer.name, tensor, axis, reader.name, rows, repeats, may_turn)


def _channel_row(wiring: Wiring, producer: NodeProto, reader: NodeProto) -> tuple[int, int] | None:
    """Find axis and number of channels of a tensor that a scale or a written-out norm makes."""
    from edge_convnext.graph.qdq import channel_scales

    if constants := channel_scales(wiring, producer):
        shape = wiring.constants[constants[0][0].input[constants[0][1]]].dims
        axis = next((at - len(shape) for at, size in enumerate(shape) if size > 1), -1)
        return axis, int(np.prod(shape))
    if reader.op_type == "Conv" and producer.name.rpartition("/")[0].endswith("norm"):
        return -3, _input_first(wiring, reader).shape[0]
    return None


def _input_first(wiring: Wiring, reader: NodeProto) -> NDArray[np.float32]:
    """Return the reader's weight as [input channels, everything else]."""
    from edge_convnext.graph.qdq import weight_axes

    weight = wiring.value(reader.input[1])
    assert weight is not None  # the caller checked
    _, inputs = weight_axes(reader, weight.ndim)
    moved = np.moveaxis(weight, inputs, 0)
    return moved.reshape(moved.shape[0], -1)


def apply_factors(proto: ModelProto, site: Site, factors: NDArray[np.float32]) -> None:
    """Divide the channels of one tensor by factors, and multiply the weights that read them.

    Args:
        proto: The graph; changed in place.
        site: The tensor and its reader, from `find_sites`.
        factors: One factor per channel, float32[channels], none of them 0.
    """
    from edge_convnext.graph.qdq import Wiring, channel_scales, scale_constant

    wiring = Wiring(proto)
    nodes = {node.name: node for node in proto.graph.node}
    producer, reader = nodes[site.producer], nodes[site.reader]
    shrink = (1.0 / factors.astype(np.float64)).astype(np.float32)
    if producer.op_type == "LayerNormalization":
        for position in range(1, len(producer.input)):
            scale_constant(proto, wiring, producer, position, shrink)
    elif constants := channel_scales(wiring, producer):
        for node, position in constants:
            old = wiring.constants[node.input[position]].dims
            shape = old if np.prod(old) > 1 else _broadcast(site.axis, len(shrink))
            scale_constant(proto, wiring, node, position, shrink.reshape(shape))
    else:
        _insert_scale(proto, producer, site, shrink)
    _scale_weight(proto, wiring, reader, np.tile(factors, site.repeats))


def _broadcast(axis: int, channels: int) -> tuple[int, ...]:
    return (channels, *(1 for _ in range(-axis - 1)))


def _insert_scale(
    proto: ModelProto, producer: NodeProto, site: Site, shrink: NDArray[np.float32]
) -> None:
    from onnx import helper, numpy_helper

    path = producer.name.rpartition("/")[0]
    scale, scaled = f"{path}.equalize", f"{path}/Equalize"
    proto.graph.initializer.append(
        numpy_helper.from_array(shrink.reshape(_broadcast(site.axis, len(shrink))), scale)
    )
    node = helper.make_node("Mul", [site.tensor, scale], [scaled], name=scaled)
    at = next(i for i, one in enumerate(proto.graph.node) if one.name == producer.name)
    for one in proto.graph.node:
        one.input[:] = [scaled if name == site.tensor else name for name in one.input]
    proto.graph.node.insert(at + 1, node)


def _scale_weight(
    proto: ModelProto, wiring: Wiring, reader: NodeProto, factors: NDArray[np.float32]
) -> None:
    from edge_convnext.graph.qdq import scale_constant, weight_axes

    rank = len(wiring.constants[reader.input[1]].dims)
    _, inputs = weight_axes(reader, rank)
    shape = [1] * rank
    shape[inputs] = -1
    scale_constant(proto, wiring, reader, 1, factors.reshape(shape))

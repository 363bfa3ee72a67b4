"""Equalize: move scales per channel from activations into the weights that read them.

A quantizer has one scale for a whole activation tensor, so a few channels with large values
leave the others a few steps. With a positive s_c per channel, W x = (W diag(s)) (x / s): the
outliers shrink, and per-channel weights take them on. The operation that makes x gives it away
for nothing: LayerNormalization has a scale per channel, and GRN, x * (gamma * n + 1), takes it
in gamma and in the 1. A LayerNorm that is written out gets one multiplication, which OpenVINO
runs in the kernel of its last operation. Where names tell nothing, such places are found by
structure (`equalize_sites`).

|s_c| = max|x_c|^alpha / max|W_c|^(1 - alpha), with the alpha of each layer that makes its own
output, quantized as it will be, the nearest to the float one on sampled activations; for
unsigned activations some s_c are negative (`factors`).

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

STAGE = Stage("equalize", 3, ("onnx", "onnxruntime"), max_error=1e-3)


def equalize(
    model: OnnxModel,
    batches: Sequence[NDArray[np.float32]],
    config: EqualizeConfig,
    activation_type: ActivationType,
    output: AnyPath,
) -> OnnxModel:
    """Rescale the channels between normalizations and the products that read them.

    Args:
        model: FP32.
        batches: Normalized calibration images, float32[n, C, H, W].
        config: One alpha, or the best of each layer.
        activation_type: What activations will be quantized to.
        output: Where the graph goes: the same function, up to rounding.

    Returns:
        The FP32 graph to quantize; unchanged where nothing can be rescaled.

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

    producer: str  # node
    tensor: str
    axis: int  # of its channels
    reader: str  # node: Conv, MatMul or Gemm
    weight: NDArray[np.float32]  # [channels, everything else]
    repeats: int  # rows of the reader's weight per channel, where patches were flattened
    # OpenVINO 2026.4 computes a LayerNormalization of negative scale wrongly where a quantizer
    # follows; a norm has hardly any channels to turn over anyway.
    may_turn: bool


def find_sites(proto: ModelProto) -> list[Site]:
    """Every normalization that one convolution or product reads, in the order of the graph."""
    from edge_convnext.graph.qdq import WEIGHTED_OPS, Wiring

    wiring = Wiring(proto)
    return [
        site
        for node in proto.graph.node
        if node.op_type in WEIGHTED_OPS and wiring.value(node.input[1]) is not None
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
    elif producer.op_type == "Mul" and (row := _channel_row(wiring, producer, reader)) is not None:
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
    """Axis and number of channels of what is scaled by channel, or of a written-out LayerNorm."""
    from edge_convnext.graph.qdq import channel_scales

    if constants := channel_scales(wiring, producer):
        shape = wiring.constants[constants[0][0].input[constants[0][1]]].dims
        axis = next((at - len(shape) for at, size in enumerate(shape) if size > 1), -1)
        return axis, int(np.prod(shape))
    if reader.op_type == "Conv" and producer.name.rpartition("/")[0].endswith("norm"):
        return -3, _input_first(wiring, reader).shape[0]
    return None


def _input_first(wiring: Wiring, reader: NodeProto) -> NDArray[np.float32]:
    """The reader's weight as [input channels, everything else]."""
    weight = wiring.value(reader.input[1])
    assert weight is not None  # the caller looked
    first = 1 if reader.op_type == "Conv" or _is_transposed(reader) else weight.ndim - 2
    moved = np.moveaxis(weight, first, 0)
    return moved.reshape(moved.shape[0], -1)


def _is_transposed(reader: NodeProto) -> bool:
    return reader.op_type == "Gemm" and any(
        item.name == "transB" and item.i for item in reader.attribute
    )


def apply_factors(proto: ModelProto, site: Site, factors: NDArray[np.float32]) -> None:
    """Divide the channels of one tensor by factors, and multiply the weights that read them.

    Args:
        proto: Changed in place.
        site: From `find_sites`.
        factors: float32[channels], none of them 0.
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
    from edge_convnext.graph.qdq import scale_constant

    rank = len(wiring.constants[reader.input[1]].dims)
    first = 1 if reader.op_type == "Conv" or _is_transposed(reader) else rank - 2
    shape = [1] * rank
    shape[first] = -1
    scale_constant(proto, wiring, reader, 1, factors.reshape(shape))

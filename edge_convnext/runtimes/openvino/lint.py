"""Operations that OpenVINO computes wrongly, or runs slower than their type suggests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_convnext.graph.concat_pairs import find_signed_concats
from edge_convnext.graph.findings import (
    CPU_WEIGHT_ONLY,
    Finding,
    weight_only,
)
from edge_convnext.graph.pooled_scale import find_pooled_scales
from edge_convnext.graph.square_attention import find_square_attention

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["lint_openvino"]


def lint_openvino(proto: ModelProto, wiring: Wiring) -> Iterator[Finding]:
    """Check a graph against the rules of OpenVINO.

    Args:
        proto: The graph, float or with explicit Q/DQ.
        wiring: The wiring of that graph.

    Yields:
        The findings.
    """
    yield from _miscomputed(proto, wiring)
    for node in proto.graph.node:
        if not wiring.has_quantized_weight(node):
            continue
        if not wiring.is_quantized(node):
            yield weight_only(node, CPU_WEIGHT_ONLY)
            continue
        norm = _norm_before(node, wiring)
        if norm is not None:
            yield Finding(
                "negative-norm-scale",
                "error",
                norm.name,
                "OpenVINO computes something else where a LayerNormalization with a negative "
                "scale is quantized for a Gemm",
                f"keep {node.name} in float (quantize.ignored_names), or fold the scale",
            )
        weight = wiring.quantizer(node.input[1])
        parameters = [] if weight is None else weight.input[2:]
        zero_point = wiring.value(parameters[0]) if parameters else None
        if zero_point is not None and zero_point.any():
            yield Finding(
                "zero-point",
                "warning",
                node.name,
                "OpenVINO runs a convolution in float, and a MatMul less exactly, when a zero "
                "point of its weights is not 0",
                "quantize weights symmetrically",
            )


def _miscomputed(proto: ModelProto, wiring: Wiring) -> Iterator[Finding]:
    """What OpenVINO 2026.4.1 computes wrongly, without a word; tried on graphs of five nodes."""
    for signed in find_signed_concats(proto, wiring):
        yield Finding(
            "concat-int8",
            "error",
            signed.conv.name,
            f"OpenVINO computes something else where signed Q/DQ is between {signed.concat.name} "
            "and a dense convolution",
            "quantize that value as uint8 (quantize.activation_type), or keep "
            f"{signed.conv.name} in float (quantize.ignored_names)",
        )
    for pooled in find_pooled_scales(proto, wiring):
        yield Finding(
            "mean-scale",
            "error",
            pooled.reduction.name,
            f"OpenVINO computes something else where {pooled.scale.name} applies a constant of "
            "every channel to a reduction without keepdims, and the result is quantized",
            "fold that constant into the product behind it, reduce with keepdims=1 and squeeze, "
            "or keep that product in float (quantize.ignored_names)",
        )
    for square in find_square_attention(proto, wiring):
        yield Finding(
            "square-attention",
            "error",
            square.softmax.name,
            "OpenVINO computes something else with a fixed batch where attention has as many "
            f"heads as tokens and {square.transposes[-1].name} moves them",
            "write that Transpose with a fifth axis of 1, or let the batch be dynamic",
        )


def _norm_before(node: NodeProto, wiring: Wiring) -> NodeProto | None:
    """Find the LayerNormalization of negative scale whose quantized output a Gemm reads."""
    if node.op_type != "Gemm":
        return None
    dequantize = wiring.producer.get(node.input[0])
    quantize = wiring.producer.get(dequantize.input[0]) if dequantize is not None else None
    norm = wiring.producer.get(quantize.input[0]) if quantize is not None else None
    if norm is None or norm.op_type != "LayerNormalization":
        return None
    scale = wiring.value(norm.input[1])
    return norm if scale is not None and (scale < 0).any() else None

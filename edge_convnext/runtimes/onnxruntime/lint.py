"""Operations that ONNX Runtime computes wrongly, or runs slower than their type suggests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_convnext.graph.file import read_opset
from edge_convnext.graph.findings import CPU_WEIGHT_ONLY, Finding, weight_only
from edge_convnext.runtimes.onnxruntime.int8_rules import why_in_float

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["lint_onnxruntime"]


def lint_onnxruntime(proto: ModelProto, wiring: Wiring) -> Iterator[Finding]:
    """Check a graph against the rules of ONNX Runtime.

    Args:
        proto: The graph, float or with explicit Q/DQ.
        wiring: The wiring of that graph.

    Yields:
        The findings.
    """
    opset = read_opset(proto)
    for node in proto.graph.node:
        if node.op_type == "Transpose" and opset >= 21 and wiring.quantizer(node.output[0]):
            # microsoft/onnxruntime#25526, reached through its QDQPropagation
            yield Finding(
                "transposed-pair",
                "error",
                node.name,
                f"ONNX Runtime can't load a Transpose of a dequantized value at opset {opset}",
                "export with --opset 20, or use the placement 'pointwise'",
            )
        if not wiring.has_quantized_weight(node):
            continue
        if not wiring.is_quantized(node):
            yield weight_only(node, CPU_WEIGHT_ONLY)
        elif node.op_type == "MatMul":
            yield from _check_onnxruntime_matmul(node, wiring)
        elif (why := why_in_float(node, wiring)) is not None:
            yield Finding(
                "float-kernel",
                "warning",
                node.name,
                f"ONNX Runtime runs this {node.op_type} in float: {why}",
                "quantizing it only costs accuracy: add it to quantize.ignored_names",
            )


def _check_onnxruntime_matmul(node: NodeProto, wiring: Wiring) -> Iterator[Finding]:
    source = wiring.quantizer(node.input[0])
    scale = wiring.value(source.input[1]) if source is not None else None
    if scale is not None and scale.size > 1:
        yield Finding(
            "per-channel-activation",
            "warning",
            node.name,
            "ONNX Runtime runs a MatMul with several activation scales in float",
            "quantize activations per tensor",
        )
    for reader in wiring.readers.get(node.output[0], ()):
        biases = [wiring.value(name) for name in reader.input] if reader.op_type == "Add" else []
        if any(bias is not None and bias.ndim == 1 for bias in biases):
            yield Finding(
                "float-gemm",
                "warning",
                node.name,
                "ONNX Runtime fuses a MatMul and its bias [C] into a float Gemm where shapes are "
                "static",
                "give the bias the shape [1, C]",
            )

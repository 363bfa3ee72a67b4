"""Lint: what a target can't run right, or runs slower than it looks, in a graph.

What each runtime does with each case was tried on graphs of one operation: TensorRT for RTX
1.7's parser and kernel list (`lint_tensorrt`), ONNX Runtime 1.32's optimized graph and OpenVINO
2026.4's execution graph, both on a CPU with AVX-512 VNNI.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge_convnext.core.errors import QuantizationError
from edge_convnext.core.files import AnyPath
from edge_convnext.graph.file import read_opset, read_proto
from edge_convnext.graph.findings import Finding, Severity, weight_only
from edge_convnext.runtimes.tensorrt.lint import TensorRTName, lint_tensorrt

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["Finding", "LintTarget", "Severity", "lint", "require_runnable"]

LintTarget = Literal["onnxruntime", "openvino", TensorRTName]


def lint(path: AnyPath, target: LintTarget) -> tuple[Finding, ...]:
    """Check a graph against the rules of one target.

    Args:
        path: An ONNX graph, with explicit QuantizeLinear and DequantizeLinear or without.
        target: What shall run it.

    Returns:
        What was found, in the order of the nodes; empty for a clean graph.

    Raises:
        ArtifactError: Missing, or not ONNX.
    """
    path = Path(path)
    from edge_convnext.graph.qdq import Wiring

    proto = read_proto(path)
    wiring = Wiring(proto)
    if target == "onnxruntime":
        return tuple(_lint_onnxruntime(proto, wiring))
    if target == "openvino":
        return tuple(_lint_openvino(proto, wiring))
    return tuple(lint_tensorrt(proto, wiring, target))


def require_runnable(path: Path, target: LintTarget) -> tuple[Finding, ...]:
    """Lint, and refuse a graph with errors.

    Returns:
        The warnings.

    Raises:
        QuantizationError: The first error: node, rule and remedy.
        ArtifactError: Missing, or not ONNX.
    """
    findings = lint(path, target)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise QuantizationError(f"{path} can't run on {target}: {errors[0]}{more}")
    return findings


def _lint_onnxruntime(proto: ModelProto, wiring: Wiring) -> Iterator[Finding]:
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
            yield weight_only(node, _CPU_WEIGHT_ONLY)
        elif node.op_type == "MatMul":
            yield from _check_onnxruntime_matmul(node, wiring)
        elif not _output_is_quantized(node, wiring):
            yield Finding(
                "float-kernel",
                "warning",
                node.name,
                f"ONNX Runtime has no INT8 {node.op_type} with a float output and runs it in float",
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


def _lint_openvino(proto: ModelProto, wiring: Wiring) -> Iterator[Finding]:
    for node in proto.graph.node:
        if not wiring.has_quantized_weight(node):
            continue
        if not wiring.is_quantized(node):
            yield weight_only(node, _CPU_WEIGHT_ONLY)
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


def _norm_before(node: NodeProto, wiring: Wiring) -> NodeProto | None:
    """The LayerNormalization of negative scale whose quantized output a Gemm reads."""
    if node.op_type != "Gemm":
        return None
    dequantize = wiring.producer.get(node.input[0])
    quantize = wiring.producer.get(dequantize.input[0]) if dequantize is not None else None
    norm = wiring.producer.get(quantize.input[0]) if quantize is not None else None
    if norm is None or norm.op_type != "LayerNormalization":
        return None
    scale = wiring.value(norm.input[1])
    return norm if scale is not None and (scale < 0).any() else None


_CPU_WEIGHT_ONLY = (
    "a MatMul's input is then quantized on the fly, differently from this graph, and a Conv runs "
    "in float"
)


def _output_is_quantized(node: NodeProto, wiring: Wiring) -> bool:
    readers = wiring.readers.get(node.output[0], [])
    return bool(readers) and all(reader.op_type == "QuantizeLinear" for reader in readers)

"""Lint: operations that a runtime computes wrongly, or runs slower than their type suggests.

What each runtime does with each case was tried on graphs of one operation: TensorRT for RTX
1.7's parser and kernel list (`lint_tensorrt`), ONNX Runtime 1.32's optimized graph and OpenVINO
2026.4's execution graph, both on a CPU with AVX-512 VNNI.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edge_convnext.core.files import AnyPath
from edge_convnext.graph.file import read_proto
from edge_convnext.graph.findings import Finding, Severity, refuse_errors
from edge_convnext.runtimes.onnxruntime.lint import lint_onnxruntime
from edge_convnext.runtimes.openvino.lint import lint_openvino
from edge_convnext.runtimes.tensorrt.lint import TensorRTName, lint_tensorrt

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
        return tuple(lint_onnxruntime(proto, wiring))
    if target == "openvino":
        return tuple(lint_openvino(proto, wiring))
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
    refuse_errors(findings, path, target)
    return findings

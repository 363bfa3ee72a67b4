"""What OpenVINO's CPU plugin can't compile on Arm, or runs in float there.

Tried with OpenVINO 2026.4.1 on emulated aarch64: benchmarks/results/2026-11-30-cpus.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_convnext.graph.findings import CPU_WEIGHT_ONLY, Finding, weight_only

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["lint_openvino_aarch64"]

# A ReduceMean over two axes was compiled each time that it was tried.
_SUMS = frozenset({"ReduceL2", "ReduceSum"})


def lint_openvino_aarch64(proto: ModelProto, wiring: Wiring) -> Iterator[Finding]:
    """Check a graph against the rules of OpenVINO on Arm.

    Args:
        proto: The graph, float or with explicit Q/DQ.
        wiring: The wiring of that graph.

    Yields:
        The findings.
    """
    quantized = any(node.op_type == "QuantizeLinear" for node in proto.graph.node)
    for node in proto.graph.node:
        if node.op_type in _SUMS and len(_axes(node, wiring)) > 1:
            yield Finding(
                "reduced-axes",
                "error" if quantized else "warning",
                node.name,
                f"OpenVINO on Arm reads an axis past its constant where a {node.op_type} goes over "
                "two axes, and compiles an INT8 graph with it by chance alone",
                "use a form that sums by matrix products (nhwc), sum over one axis at a time, or "
                "run it in ONNX Runtime there",
            )
        if not wiring.has_quantized_weight(node):
            continue
        if not wiring.is_quantized(node):
            yield weight_only(node, CPU_WEIGHT_ONLY)
        elif node.op_type == "Conv":
            yield Finding(
                "float-on-arm",
                "warning",
                node.name,
                "OpenVINO runs an INT8 convolution in float on Arm, and in float16 unless it is "
                "told not to",
                "write it as a MatMul (form nhwc), or quantize it for ONNX Runtime alone",
            )


def _axes(node: NodeProto, wiring: Wiring) -> tuple[int, ...]:
    """Axes that a reduction states."""
    stated = next((tuple(one.ints) for one in node.attribute if one.name == "axes"), ())
    if stated or len(node.input) < 2:
        return stated
    found = wiring.value(node.input[1])
    return () if found is None else tuple(int(axis) for axis in found.ravel())

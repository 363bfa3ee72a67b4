"""Findings of lint: a rule that a node breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge_convnext.core.errors import QuantizationError

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["CPU_WEIGHT_ONLY", "Finding", "Severity", "refuse_errors", "weight_only"]

Severity = Literal["error", "warning"]
CPU_WEIGHT_ONLY = (
    "a MatMul's input is then quantized on the fly, differently from this graph, and a Conv runs "
    "in float"
)


@dataclass(frozen=True)
class Finding:
    """One rule that one node breaks."""

    rule: str  # "zero-point"
    severity: Severity  # an error: the target refuses the graph, or computes something else
    node: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.node}: {self.rule}: {self.message}; {self.remedy}"


def weight_only(node: NodeProto, message: str) -> Finding:
    """Make the finding for a product whose activations are not quantized; every target has it."""
    return Finding(
        "weight-only",
        "warning",
        node.name,
        f"only its weights are quantized: {message}",
        "quantize its input too, or neither",
    )


def refuse_errors(findings: Sequence[Finding], path: Path, target: str) -> None:
    """Refuse a graph that its target can't run.

    Args:
        findings: Findings of the graph.
        path: Path of the graph, for the message.
        target: Target that would run it, for the message.

    Raises:
        QuantizationError: There is an error; the message has its node, rule and remedy.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise QuantizationError(f"{path} can't run on {target}: {errors[0]}{more}")

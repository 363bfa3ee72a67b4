"""What lint finds: one rule that one node breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["Finding", "Severity", "weight_only"]

Severity = Literal["error", "warning"]


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
    """The finding of a product whose activations are not quantized; every target has it."""
    return Finding(
        "weight-only",
        "warning",
        node.name,
        f"only its weights are quantized: {message}",
        "quantize its input too, or neither",
    )

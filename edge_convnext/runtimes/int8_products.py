"""Products that run in INT8: those that a graph plans, and those that its runtime makes of it.

A runtime optimizes a graph before it runs it. Where a rule of its own is not met, a product that
has quantized weights and activations in the file runs in float all the same, and is slower than
without Q/DQ. The runtime's own graph tells, without a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.graph.structure import ALL_PRODUCTS

if TYPE_CHECKING:
    from onnx import ModelProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["INT8_OPERATIONS", "Int8Products", "planned_products"]

# ONNX's own and ONNX Runtime's, with integers in and a product inside.
INT8_OPERATIONS = frozenset(
    {
        "ConvInteger",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QAttention",
        "QGemm",
        "QLinearConv",
        "QLinearMatMul",
    }
)
# Runtimes compute these in INT8 between a pair and what reads it.
_PASSED = frozenset(
    {
        "Flatten",
        "Identity",
        "MaxPool",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)


@dataclass(frozen=True)
class Int8Products:
    """Products of one graph, planned and found."""

    planned: tuple[str, ...]  # names of nodes
    found: int  # of those planned
    missing: tuple[tuple[str, str], ...] = ()  # name, and why it runs in float
    beyond: tuple[tuple[str, str], ...] = ()  # name, and why it is in INT8, unplanned


def planned_products(proto: ModelProto, wiring: Wiring) -> tuple[str, ...]:
    """Products that read quantized values alone, or are written with integers.

    Args:
        proto: Graph with explicit Q/DQ, or fused for one runtime.
        wiring: Wiring of that graph.
    """
    return tuple(
        node.name
        for node in proto.graph.node
        if node.op_type in INT8_OPERATIONS
        or (
            node.op_type in ALL_PRODUCTS
            and all(_is_quantized(wiring, name) for name in node.input[:2])
        )
    )


def _is_quantized(wiring: Wiring, name: str) -> bool:
    """Whether a value is dequantized, and at most moved and pooled since."""
    node = wiring.producer.get(name)
    while node is not None and node.op_type in _PASSED:
        node = wiring.producer.get(node.input[0])
    return node is not None and node.op_type == "DequantizeLinear"

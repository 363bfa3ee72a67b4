"""Find operations that need float32 in a network whose other operations are float16.

float16 ends at 65504, so the square of 256 is infinite in it. Norms square what they read: the
variance of a LayerNormalization (facebookresearch/ConvNeXt#80) and the sum of squares of GRN
(facebookresearch/ConvNeXt-V2#66) leave the range although their results fit well. Such operations,
and those between them in one norm, are called wide here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_convnext.graph.norms import NORMS

if TYPE_CHECKING:
    from collections.abc import Container

    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["MOVEMENTS", "find_wide", "leaves_range"]

# They only move values, so they run in either type.
MOVEMENTS = frozenset(
    {"Concat", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose"}
    | {"DepthToSpace", "Gather", "Pad", "SpaceToDepth", "Split", "Tile", "Unsqueeze"}
)
_REDUCTIONS = frozenset(
    {"GlobalAveragePool", "GlobalLpPool", "ReduceL1", "ReduceL2", "ReduceMean"}
    | {"CumSum", "LRN", "LpPool", "ReduceLogSumExp", "ReduceProd", "ReduceSum", "ReduceSumSquare"}
)
# A power of e leaves the range from 11.1 on, and Softplus and Mish have one inside.
_POWERS = frozenset(
    {"Cos", "Exp", "Log", "LogSoftmax", "Mish", "Pow", "Reciprocal", "Sin", "Softmax", "Softplus"}
    | {"Sqrt"}
)
_MOST_SUMMED = 9  # positions of a pool that may be summed in float16: those of 3x3
_ARITHMETIC = frozenset({"Add", "Mul", "Neg", "Relu", "Sub"})  # Relu: a variance clamped to zero


def find_wide(proto: ModelProto, wiring: Wiring, others: Container[str] = ()) -> frozenset[str]:
    """Find the wide operations, each by its first output.

    Some leave the range by themselves. Others are sums, differences, products and Relu of only wide
    values and constants, such as variance + epsilon, or the affine of a norm that is written out. A
    product with GRN's factor is not one of them: it reads the whole feature map.

    Args:
        proto: Float32 graph, operations in the order of computation.
        wiring: Wiring of that graph.
        others: First outputs of operations that are wide for another reason.
    """
    wide: set[str] = set()
    for node in proto.graph.node:
        if node.output[0] in others or leaves_range(node, wiring):
            wide.add(node.output[0])
        elif node.op_type in _ARITHMETIC:
            computed = [name for name in node.input if name not in wiring.constants]
            if computed and wide.issuperset(computed):
                wide.add(node.output[0])
    return frozenset(wide)


def leaves_range(node: NodeProto, wiring: Wiring) -> bool:
    """Whether an intermediate or final value can be far larger or smaller than all it reads."""
    if node.op_type in _REDUCTIONS | NORMS | _POWERS:
        return True
    if node.op_type == "AveragePool":
        return math.prod(*(item.ints for item in node.attribute if item.name == "kernel_shape")) > (
            _MOST_SUMMED
        )
    if node.op_type == "Mul":
        makers = [wiring.producer.get(name) for name in node.input]
        divides = any(maker is not None and maker.op_type == "Reciprocal" for maker in makers)
        return divides or node.input[0] == node.input[1]
    if node.op_type == "Div":
        return node.input[1] not in wiring.constants
    if node.op_type == "Sub":  # a deviation, which is squared next
        mean = wiring.producer.get(node.input[1])
        return mean is not None and mean.op_type == "ReduceMean"
    return node.op_type == "MatMul" and any(_is_ones(name, wiring) for name in node.input)


def _is_ones(name: str, wiring: Wiring) -> bool:
    """Whether this is a constant that makes a product with it a sum."""
    value = wiring.value(name)
    return value is not None and bool((value == 1).all())

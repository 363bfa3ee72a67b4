"""Norms: the operations of ONNX, and the beginning of one that is written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto

    from edge_convnext.graph.structure import Structure

__all__ = ["NORMS", "is_norm"]

NORMS = frozenset(
    {
        *("BatchNormalization", "GroupNormalization", "InstanceNormalization"),
        *("LayerNormalization", "LpNormalization", "RMSNormalization"),
    }
)


def is_norm(seen: Structure, node: NodeProto, name: str) -> bool:
    """Whether a node that reads a value normalises it, or begins a norm that is written out."""
    if node.op_type in NORMS or node.op_type == "ReduceL2":
        return True
    if node.op_type != "ReduceMean":
        return False
    readers = seen.readers.get(node.output[0], ())
    return any(reader.op_type == "Sub" and name in reader.input for reader in readers)

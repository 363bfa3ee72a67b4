"""Operations that can't be written for LiteRT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_convnext.graph.findings import Finding
from edge_convnext.graph.tflite_operations import unwritable_nodes

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["lint_litert"]


def lint_litert(proto: ModelProto) -> Iterator[Finding]:
    """Check that a graph can be written for LiteRT.

    Args:
        proto: The graph, float or with explicit Q/DQ.

    Yields:
        A warning for each operation that has no form there. It is no error: the graph itself runs
        in its own runtimes, and a file for LiteRT is written only where all of it can be.
    """
    for node in unwritable_nodes(proto):
        yield Finding(
            "unwritable",
            "warning",
            node.name,
            f"{node.op_type} is not written for LiteRT",
            "choose another runtime, or another --form",
        )

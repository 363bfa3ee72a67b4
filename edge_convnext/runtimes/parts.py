"""The parts that the nodes of one graph are counted for: its family's, or roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.node_parts import find_node_parts
from edge_convnext.networks.family import family_of_graph
from edge_convnext.networks.parts import PLAIN, Parts, parts_by_role

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto

__all__ = ["parts_of_graph"]


def parts_of_graph(proto: ModelProto, path: Path) -> Parts:
    """The parts of a graph; of one that no family is known of, quantizers are told apart.

    Args:
        proto: The graph; its weights are not needed.
        path: Path for the messages.
    """
    try:
        parts = family_of_graph(proto, path).parts
    except ArtifactError:
        return PLAIN
    return parts_by_role(find_node_parts(proto)) if parts.by_role else parts

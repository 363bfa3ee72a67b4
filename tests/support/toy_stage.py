"""Sign: write into a graph who made it; its function stays.

A stage as one file, which `tests/whole/test_toy_stage.py` runs, and puts into the chain of a build.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.files import AnyPath
from edge_convnext.core.step import Stage
from edge_convnext.graph.file import read_proto, write_proto

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import OnnxModel

__all__ = ["STAGE", "sign_graph"]

STAGE = Stage("sign", 1, ("onnx",), max_error=1e-6)


def sign_graph(model: OnnxModel, output: AnyPath, author: str = "toy") -> OnnxModel:
    """Add `author` to the metadata of a graph.

    Args:
        model: Any graph.
        output: Where the graph goes.
        author: Who made it.

    Returns:
        The graph at `output`.

    Raises:
        ArtifactError: Missing, or not ONNX.
    """
    proto = read_proto(model.path)
    proto.metadata_props.add(key="author", value=author)
    write_proto(proto, Path(output))
    return replace(model, path=Path(output))

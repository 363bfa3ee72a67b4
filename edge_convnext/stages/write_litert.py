"""Lower: write a graph as a LiteRT model (`.tflite`), float or with INT8 products.

An INT8 graph gives its integer weights. The ranges of its activations are left out: LiteRT takes
those of each inference, of every row by itself, which is nearer to the float graph than one range
for all images. Quantizing the activations beforehand lost 31 dB with LiteRT's own tools, and was
slower.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import LITERT_FORMAT
from edge_convnext.core.step import Stage
from edge_convnext.graph.file import read_facts, read_proto
from edge_convnext.graph.tflite.write import to_tflite
from edge_convnext.graph.tflite_file import write_model

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.core.files import AnyPath

__all__ = ["STAGE", "write_litert"]

# An entry of the report's `lower`, as it is a graph for one runtime alone; a folder of its own.
STAGE = Stage("lower", 1, ("onnx", "ai_edge_litert"), max_error=1e-3, folder="litert")


def write_litert(model: OnnxModel, output: AnyPath) -> OnnxModel:
    """Write a model that takes images float32[N, H, W, C] and gives float32[N, classes].

    Args:
        model: ONNX graph of a build, float or with Q/DQ.
        output: File to write.

    Returns:
        The model, which carries the metadata of its graph and a list of its labels.

    Raises:
        ExportError: It has an operation that can't be written.
        MissingDependencyError: ai-edge-litert is not installed.

    Source:
        TensorFlow Lite's schema (`schema.fbs`), "Post-training dynamic range quantization".
    """
    proto = read_proto(model.path)
    facts = {**read_facts(proto), "format": LITERT_FORMAT}
    classes = facts.get("classes") or ()
    write_model(to_tflite(proto), facts, classes, Path(output))
    return replace(model, path=Path(output))

"""Approximate: replace GELU by a cheaper function that is nearly equal.

This is not exact, so it is never chosen silently. A plan names the approximation (`gelu: tanh`),
and its accuracy is measured against the exact model like that of any other candidate.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError, ExportError
from edge_convnext.core.files import AnyPath, atomic_path
from edge_convnext.core.step import Stage

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import OnnxModel

__all__ = ["STAGE", "use_tanh_gelu"]

STAGE = Stage("approximate", 1, ("onnx", "onnxruntime"))


def use_tanh_gelu(model: OnnxModel, output: AnyPath) -> OnnxModel:
    """Turn every exact GELU into 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    Args:
        model: An FP32 graph of opset 20 or later; earlier opsets have no Gelu operator.
        output: The file to write the graph to.

    Returns:
        The FP32 graph; the absolute error of each GELU is at most 5e-4.

    Raises:
        ExportError: The graph has no Gelu operator.
        ArtifactError: There is no such graph.

    Source:
        Hendrycks and Gimpel, arXiv 1606.08415; ONNX operators, Gelu.
    """
    output = Path(output)
    import onnx

    if not model.path.is_file():
        raise ArtifactError(f"{model.path}: no such ONNX file; export the model first")
    proto = onnx.load(str(model.path))
    exact = [node for node in proto.graph.node if node.op_type == "Gelu"]
    if not exact:
        raise ExportError(
            f"{model.path}: has no Gelu operation to approximate; export with --opset 20 or "
            "later, or leave out --gelu tanh"
        )
    for node in exact:
        del node.attribute[:]
        node.attribute.append(onnx.helper.make_attribute("approximate", "tanh"))
    with atomic_path(output) as scratch:
        scratch.write_bytes(proto.SerializeToString(deterministic=True))
    return replace(model, path=output)

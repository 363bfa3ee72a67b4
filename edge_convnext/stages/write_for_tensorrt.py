"""Write for TensorRT: the images, the float type and the opset that a TensorRT takes.

TensorRT 10 and later and TensorRT for RTX read strongly typed graphs: a float16 body stands in the
file (`to_float16`). TensorRT 8.6 reads opset 17 (`to_opset17`) and chooses its types itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.files import AnyPath, copy_atomic
from edge_convnext.core.step import Stage
from edge_convnext.stages.to_float16 import FloatName, halve_body
from edge_convnext.stages.to_opset17 import use_opset_17
from edge_convnext.stages.to_uint8_images import use_uint8_images

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import ImagesType, OnnxModel

__all__ = ["STAGE", "write_for_tensorrt"]

STAGE = Stage("finish", 2, ("numpy", "onnx", "onnxruntime"), entry="typed")


def write_for_tensorrt(
    model: OnnxModel, output: AnyPath, images: ImagesType, *, halved: bool, opset_17: bool
) -> OnnxModel:
    """Write a graph as one TensorRT takes it.

    Args:
        model: FP32, or INT8 with explicit Q/DQ and a float32 body; images float32[N, C, H, W].
        output: Where the graph goes.
        images: What the graph takes; `float16` counts for a float16 body alone.
        halved: Give it a float16 body.
        opset_17: Write it in opset 17, for TensorRT 8.6; not together with `halved`.

    Returns:
        The graph; its precision is `fp16` for a halved FP32 graph, else that of `model`.

    Raises:
        ExportError: See `to_float16`, `to_opset17` and `to_uint8_images`.
        ArtifactError: Missing, or not ONNX.
    """
    output = Path(output)
    pixels = output.with_name("pixels.onnx")
    made = use_uint8_images(model, pixels) if images == "uint8" else model
    if halved:
        border: FloatName = "float16" if images == "float16" else "float32"
        made = halve_body(made, output, border)
    elif opset_17:
        made = use_opset_17(made, output)
    else:
        copy_atomic(made.path, output)
    pixels.unlink(missing_ok=True)
    return made

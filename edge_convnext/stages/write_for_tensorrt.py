"""Write for TensorRT: convert a graph to the image type, float type and opset of a TensorRT.

TensorRT 10 and later and TensorRT for RTX read strongly typed graphs, so the file states a float16
body (`to_float16`). TensorRT 8.6 reads opset 17 (`to_opset17`) and chooses its types itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.files import AnyPath, copy_atomic
from edge_convnext.core.scratch import scratch_folder
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
        model: An FP32 graph, or an INT8 graph with explicit Q/DQ and a float32 body; its images
            are float32[N, C, H, W].
        output: The file to write the graph to.
        images: Type of the new graph's images; `float16` has an effect only with a float16 body.
        halved: True to give it a float16 body.
        opset_17: True to write it in opset 17, for TensorRT 8.6; not together with `halved`.

    Returns:
        The graph; its precision is `fp16` for a halved FP32 graph, else that of `model`.

    Raises:
        ExportError: The graph can't be converted (see `to_float16`, `to_opset17` and
            `to_uint8_images`).
        ArtifactError: The file is missing, or not ONNX.
    """
    output = Path(output)
    with scratch_folder() as scratch:
        pixels = scratch / "pixels.onnx"
        made = use_uint8_images(model, pixels) if images == "uint8" else model
        if halved:
            border: FloatName = "float16" if images == "float16" else "float32"
            return halve_body(made, output, border)
        if opset_17:
            return use_opset_17(made, output)
        copy_atomic(made.path, output)
        return replace(made, path=output)

"""`config.pbtxt` of a Triton model repository.

Source: triton-inference-server/common, protobuf/model_config.proto, and Triton's Model
Configuration page: with `max_batch_size` above 0, `dims` have no batch; with 0 they have it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError

if TYPE_CHECKING:
    from edge_convnext.devices.deploy.facts import Deployable, Tensor

__all__ = ["LABELS", "MODEL_FILES", "to_config"]

LABELS = "labels.txt"
MODEL_FILES = {"tensorrt": "model.plan", "onnx": "model.onnx"}  # Triton's own names
_PLATFORMS = {"tensorrt": "tensorrt_plan", "onnx": "onnxruntime_onnx"}
_TYPES = {"float32": "TYPE_FP32", "float16": "TYPE_FP16", "uint8": "TYPE_UINT8"}


def to_config(
    model: Deployable,
    tensors: tuple[Tensor, Tensor],
    name: str,
    max_batch: int,
    queue_delay_us: int,
    labelled: bool,
) -> str:
    """Make the text of a model's configuration.

    Args:
        model: Engine of classic TensorRT, or ONNX graph.
        tensors: Images and logits of the model.
        name: Name of the model and of its folder.
        max_batch: Largest batch of a graph with a free batch; an engine may allow less.
        queue_delay_us: Time that the server waits for a batch to fill, in microseconds.
        labelled: True where there is a labels file.

    Raises:
        ArtifactError: An engine of TensorRT for RTX, which Triton does not run.
    """
    if model.kind not in _PLATFORMS:
        raise ArtifactError(
            f"{model.path}: Triton runs no engines of TensorRT for RTX; pass --model with an "
            "engine of TensorRT or an .onnx model"
        )
    images, logits = tensors
    free = images.shape[0] is None
    largest = min(max_batch, model.max_batch or max_batch) if free else 0
    lines = [
        f"name: {json.dumps(name)}",
        f"platform: {json.dumps(_PLATFORMS[model.kind])}",
        f"max_batch_size: {largest}",
        *_tensor("input", images, free),
        *_tensor("output", logits, free, LABELS if labelled else None),
    ]
    if largest > 1:
        lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {queue_delay_us} }}")
    return "\n".join(lines) + "\n"


def _tensor(field: str, tensor: Tensor, free: bool, labels: str | None = None) -> list[str]:
    sizes = ", ".join(str(size) for size in (tensor.shape[1:] if free else tensor.shape))
    label = [f"    label_filename: {json.dumps(labels)}"] if labels else []
    return [
        f"{field} [",
        "  {",
        f"    name: {json.dumps(tensor.name)}",
        f"    data_type: {_TYPES[tensor.dtype]}",
        f"    dims: [ {sizes} ]",
        *label,
        "  }",
        "]",
    ]

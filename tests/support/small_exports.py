"""Real exports of a network small enough to export in a second, for tests of graph stages.

Whoever asks for one that was made in this session gets a copy of it (`exports`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.sections import ExportConfig, QuantizeConfig
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.form_names import ONE_IMAGE_FORMS
from edge_convnext.networks.convnext.forms import FORMS as WRITTEN
from edge_convnext.networks.convnext.sizes import Architecture, find_architecture
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.fold import fold_weights
from support.exports import export_onnx, place_qdq, quantize
from support.torch_exports import INFO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from edge_convnext.core.artifacts import FormName, OnnxModel, PlacementName, Precision

SIZE = 32
TINY = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 16, 24, 32), num_classes=5)
ATTO = find_architecture("atto", num_classes=1000)
FORMS: tuple[FormName, ...] = ("raw", *WRITTEN)


def make_images(count: int, size: int = SIZE, seed: int = 0) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed).standard_normal
    return draw((count, 3, size, size), dtype=np.float32)


def export(
    state: dict[str, Tensor],
    form: FormName,
    folder: Path,
    architecture: Architecture = TINY,
    size: int = SIZE,
    config: ExportConfig | None = None,
    precision: Precision = "fp32",
    info: ModelInfo | None = None,
) -> OnnxModel:
    info = info or ModelInfo(
        model="convnextv2_atto",
        num_classes=architecture.num_classes,
        in_channels=architecture.in_channels,
        classes=(),
        preprocess=Preprocess(image_size=size),
        weights_source="random",
        weights_sha256="0" * 64,
        weights_licence=None,
    )
    weights = save_weights(state, architecture, info, folder / "raw.safetensors")
    if form != "raw":
        weights = fold_weights(weights, folder / "folded.safetensors")
    output = folder / f"{form}.onnx"
    return export_onnx(weights, form, precision, config or ExportConfig(), output)


def export_tiny(form: FormName, folder: Path, precision: Precision = "fp32") -> OnnxModel:
    """With a dynamic batch where the form has one, else for one image."""
    config = ExportConfig(batch=1 if form in ONE_IMAGE_FORMS else "dynamic")
    state = random_state(TINY, 0)
    return export(state, form, folder, config=config, precision=precision, info=INFO)


def quantize_export(
    model: OnnxModel, batches: Sequence[NDArray[np.float32]], floats: tuple[str, ...] = ()
) -> OnnxModel:
    """Pointwise INT8, but for the nodes that match `floats`."""
    config = QuantizeConfig(ignored_patterns=floats)
    return quantize(model, batches, "pointwise", config, model.path.with_suffix(".int8.onnx"))


def place_export(
    model: OnnxModel, batches: Sequence[NDArray[np.float32]], placement: PlacementName = "blocks"
) -> OnnxModel:
    """INT8 as TensorRT wants it, weights per image included."""
    return place_qdq(model, batches, placement, model.path.with_suffix(f".{placement}.onnx"))


def infer(path: Path, images: NDArray[Any]) -> NDArray[np.float32]:
    """Logits in ONNX Runtime, of images of whatever type the graph takes."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    single = session.get_inputs()[0].shape[0] == 1
    pieces = np.split(images, len(images)) if single else [images]
    logits = [session.run(None, {"images": piece})[0] for piece in pieces]
    return np.concatenate(logits).astype(np.float32)


def largest_error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Over the largest logit."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())

"""A finished model's answers and settings, which `edge-convnext eval` compares with guessing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.file_kinds import is_tflite
from edge_convnext.core.image_size import show_size
from edge_convnext.core.origins import Fact, Origin
from edge_convnext.core.recipe import Recipe
from edge_convnext.data.batches import iter_batches
from edge_convnext.data.images import ImageSet
from edge_convnext.data.preprocess import resolve_preprocess
from edge_convnext.graph.file import read_proto
from edge_convnext.measure.alternatives import Way
from edge_convnext.measure.answers import Answer
from edge_convnext.runtimes import Runtime
from edge_convnext.runtimes.tensorrt.sidecar import ENGINE_SUFFIX

__all__ = ["Heard", "answers_of", "facts_of_metadata", "prepare_as"]


class Heard:
    """A runtime that keeps its answers, for eight bytes an image."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.answers: list[NDArray[np.int64]] = []
        self.describe = runtime.describe

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the runtime, and keep the answers."""
        logits = self._runtime.infer(images)
        self.answers.append(logits.argmax(axis=1).astype(np.int64))
        return logits


def answers_of(runtime: Runtime, info: ModelInfo, batch: int) -> Answer:
    """Answers of a loaded model."""

    def answer(images: ImageSet, way: Way | None) -> NDArray[np.int64]:
        preprocess = way[0] if way else info.preprocess
        heard = Heard(runtime)
        for one in iter_batches(images.samples, preprocess, batch, info.in_channels):
            heard.infer(one)
        return np.concatenate(heard.answers)

    return answer


def prepare_as(path: Path, own: Preprocess, stated: Recipe) -> Preprocess:
    """The model's own preprocessing, changed by the stated settings that the graph leaves open.

    Raises:
        RecipeError: The graph is for another image size, or normalises the images itself.
    """
    asked = resolve_preprocess(stated.preprocess, own)
    if asked.image_size != own.image_size:
        size = show_size(own.image_size)
        raise RecipeError(f"{path}: is for {size} pixels; build it again for others")
    if (asked.mean, asked.std) != (own.mean, own.std) and _normalises(path):
        raise RecipeError(f"{path}: normalises in the graph: --mean and --std can't change it")
    return asked


def _normalises(path: Path) -> bool:
    """Whether a graph takes raw pixels and normalises them itself; assumed of every engine."""
    if path.suffix == ENGINE_SUFFIX:
        return True
    if is_tflite(path):
        return False
    from onnx import TensorProto

    (images, *_) = read_proto(path).graph.input
    return bool(images.type.tensor_type.elem_type == TensorProto.UINT8)


def facts_of_metadata(path: Path, info: ModelInfo) -> tuple[Fact, ...]:
    """The metadata of a built model, as facts."""
    origin = Origin("checkpoint", f"{path.name}: metadata")
    own = info.preprocess
    return (
        *([Fact("classes", info.classes, origin)] if info.classes else []),
        Fact("image_size", own.image_size, origin),
        Fact("resize", own.resize, origin),
        Fact("crop_pct", own.crop_pct, origin),
        Fact("interpolation", own.interpolation, origin),
        Fact("mean", own.mean, origin),
        Fact("std", own.std, origin),
        Fact("in_channels", info.in_channels, origin),
        Fact("licence", info.weights_licence, origin),
    )

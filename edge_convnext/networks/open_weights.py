"""Weights on disk, described by the architecture that their metadata states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import ModelInfo, Weights
from edge_convnext.core.errors import ArtifactError, RecipeError
from edge_convnext.networks.family import family_of, find_model
from edge_convnext.networks.onnx_file.find import is_own_graph
from edge_convnext.networks.onnx_file.weights import CANONICAL, open_canonical
from edge_convnext.networks.tensors import read_header

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["open_weights", "weights_file"]


def weights_file(model: str) -> str:
    """The name that weights of a model have on disk: tensors, or the graph that they came as."""
    return CANONICAL if is_own_graph(model) else "weights.safetensors"


def open_weights(path: Path) -> Weights:
    """Describe a file that `save_weights` wrote, without reading its tensors; or a graph's.

    Raises:
        ArtifactError: The file is not safetensors or ONNX, or lacks this project's metadata.
    """
    if path.name == CANONICAL:
        return open_canonical(path)
    metadata, names = read_header(path)
    info = ModelInfo.from_metadata(metadata, path)
    try:
        architecture = find_model(info.model, info.num_classes, info.in_channels)
    except RecipeError as error:
        raise ArtifactError(f"{path}: made by another version of this project: {error}") from error
    return Weights(path, architecture, info, family_of(architecture).is_folded(names))

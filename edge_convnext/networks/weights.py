"""Weights on disk: safetensors, float32, this project's names, `ModelInfo` as metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import ModelInfo, NetworkShape, Weights
from edge_convnext.core.errors import ArtifactError, MissingDependencyError
from edge_convnext.core.files import atomic_path
from edge_convnext.networks.family import family_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor


__all__ = ["missing_packages", "read_header", "read_state", "save_weights"]

_REASON_CHARS = 200


def save_weights(
    state: Mapping[str, Tensor], architecture: NetworkShape, info: ModelInfo, path: Path
) -> Weights:
    """Write a state dict; equal input gives equal bytes.

    Args:
        state: This project's names, folded or not; converted to float32.
        architecture: The shape that `state` belongs to.
        info: What the file says of itself; `edge-convnext build` reads it back.
        path: Where the file goes.

    Raises:
        ArtifactError: The disk is full.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import save_file
    except ImportError as error:
        raise missing_packages(error) from error
    tensors = {name: tensor.detach().cpu().float().contiguous() for name, tensor in state.items()}
    with atomic_path(path) as scratch:
        try:
            save_file(tensors, scratch, info.to_metadata())
        except SafetensorError as error:  # its writer is not Python's, and raises no OSError
            reason = " ".join(str(error).split())[:_REASON_CHARS]
            raise ArtifactError(f"{path}: can't be written ({reason}); free some space") from error
    return Weights(path, architecture, info, family_of(architecture).is_folded(tensors))


def read_state(path: Path) -> dict[str, Tensor]:
    """Read every tensor of a safetensors file into memory.

    Raises:
        ArtifactError: Not safetensors, or damaged.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise missing_packages(error) from error
    try:
        state: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    return state


def read_header(path: Path) -> tuple[dict[str, str], frozenset[str]]:
    """Read the metadata and tensor names of a safetensors file.

    Raises:
        ArtifactError: Not safetensors, or damaged.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise missing_packages(error) from error
    try:
        # "np" only reads the header here; "pt" would import torch, a second for nothing.
        with safe_open(path, framework="np") as file:
            return file.metadata() or {}, frozenset(file.keys())
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ArtifactError:
    reason = str(error)[:_REASON_CHARS]  # it may repeat what stands in the file
    return ArtifactError(f"{path}: damaged, or not safetensors ({reason}); copy or make it again")


def missing_packages(error: ImportError) -> MissingDependencyError:
    """Name the extra that brings torch and safetensors."""
    return MissingDependencyError(
        f"weights need torch and safetensors ({error.name} is missing): "
        "pip install 'edge-convnext[build]'"
    )

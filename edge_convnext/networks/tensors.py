"""Tensors and metadata of safetensors files."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import ArtifactError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

__all__ = ["REASON_CHARS", "missing_packages", "read_header", "read_shapes", "read_state"]

REASON_CHARS = 200


def read_state(path: Path) -> dict[str, Tensor]:
    """Read every tensor of a safetensors file into memory.

    Raises:
        ArtifactError: The file is not safetensors, or is damaged.
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
        ArtifactError: The file is not safetensors, or is damaged.
    """
    with _header_of(path) as file:
        return file.metadata() or {}, frozenset(file.keys())


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the shape of every tensor of a safetensors file, and none of the tensors.

    Raises:
        ArtifactError: The file is not safetensors, or is damaged.
    """
    with _header_of(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no mapping


@contextmanager
def _header_of(path: Path) -> Iterator[Any]:
    """Open a safetensors file of which no tensor is read."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise missing_packages(error) from error
    try:
        # "np" only reads the header here; "pt" would import torch, a second for nothing.
        with safe_open(path, framework="np") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ArtifactError:
    reason = str(error)[:REASON_CHARS]  # it may repeat content of the file
    return ArtifactError(f"{path}: damaged, or not safetensors ({reason}); copy or make it again")


def missing_packages(error: ImportError) -> MissingDependencyError:
    """Make the error that names the extra with torch and safetensors."""
    return MissingDependencyError(
        f"weights need torch and safetensors ({error.name} is missing): "
        "pip install 'edge-convnext[build]'"
    )

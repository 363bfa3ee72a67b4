"""Weights on disk: safetensors, float32, this project's names, `ModelInfo` as metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import ModelInfo, NetworkShape, Weights
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import atomic_path
from edge_convnext.networks.family import family_of
from edge_convnext.networks.outside import NETWORK_KEY
from edge_convnext.networks.tensors import REASON_CHARS, missing_packages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor


__all__ = ["save_weights"]


def save_weights(
    state: Mapping[str, Tensor], architecture: NetworkShape, info: ModelInfo, path: Path
) -> Weights:
    """Write a state dict; equal input gives equal bytes.

    Args:
        state: Tensors in this project's names, folded or not; floats become float32.
        architecture: The shape that `state` belongs to.
        info: The metadata of the file; `edge-convnext build` reads it back.
        path: The safetensors file to write.

    Returns:
        The weights on disk.

    Raises:
        ArtifactError: The file can't be written, such as on a full disk.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import save_file
    except ImportError as error:
        raise missing_packages(error) from error
    tensors = _unshared({name: _as_stored(tensor) for name, tensor in state.items()})
    with atomic_path(path) as scratch:
        try:
            save_file(tensors, scratch, _metadata(architecture, info))
        except SafetensorError as error:  # its writer is not Python's, and raises no OSError
            reason = " ".join(str(error).split())[:REASON_CHARS]
            raise ArtifactError(
                f"{path}: can't be written ({reason}); check the folder, free some space, or "
                "choose another --out"
            ) from error
    return Weights(path, architecture, info, family_of(architecture).is_folded(tensors))


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies of tensors that share memory: tied weights are written once under each name."""
    places: set[int] = set()
    kept: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        kept[name] = tensor.clone() if place in places else tensor
        places.add(place)
    return kept


def _metadata(architecture: NetworkShape, info: ModelInfo) -> dict[str, str]:
    """What the file says of itself; of a network from outside, what it was made by as well."""
    outside = family_of(architecture).outside
    made_by = outside.fingerprint(architecture) if outside is not None else ""
    return {**info.to_metadata(), **({NETWORK_KEY: made_by} if made_by else {})}


def _as_stored(tensor: Tensor) -> Tensor:
    """A counter or an index of a batch norm or a window stays an integer."""
    stored = tensor.detach().cpu()
    return (stored.float() if stored.is_floating_point() else stored).contiguous()

"""Read checkpoints of any origin without running their code, and bring them into our names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.core.artifacts import ModelInfo
from edge_convnext.core.errors import ArtifactError, LoadError, RecipeError, shorten
from edge_convnext.core.file_kinds import recognise
from edge_convnext.networks.family import families, family_of_model, is_same_model
from edge_convnext.networks.tensors import missing_packages, read_header, read_state
from edge_convnext.networks.unpickle import read_torch
from edge_convnext.networks.weights_place import WeightsPlace, locate_weights

if TYPE_CHECKING:
    from torch import Tensor

    from edge_convnext.core.artifacts import NetworkShape
    from edge_convnext.networks.translation import Normalisation, Translation

__all__ = ["Checkpoint", "read_checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds."""

    state: dict[str, Tensor]  # our names, float32
    architecture: NetworkShape  # read off the tensors; of 0 classes where there is no classifier
    averaged: bool  # True for averaged weights (EMA, SWA)
    info: ModelInfo | None  # only for files that this project wrote
    place: WeightsPlace
    content: object  # as it was read; it may state facts in addition to the tensors
    metadata: dict[str, str]  # the metadata of a safetensors file
    where: str  # the path of keys to the network in the content
    head: str | None  # the classifier's name in the content
    normalisation: Normalisation | None  # a layer before the network
    notes: tuple[str, ...]


def read_checkpoint(path: Path, headless: bool = False, model: str | None = None) -> Checkpoint:
    """Read a network in any of the dialects that its family knows.

    Args:
        path: A file that torch or safetensors wrote, under any name; a folder with one; an index
            of shards, or one shard.
        headless: True if the classifier may be missing; see `NetworkFamily.translate`.
        model: Full name of the requested model; None accepts any.

    Returns:
        The checkpoint, its tensors in this project's names and float32.

    Raises:
        LoadError: The file is missing, damaged, holds code or no known network, or weights that are
            incomplete or not finite; or its metadata names another model.
    """
    try:
        import torch  # noqa: F401  # every family reads tensors with it
    except ImportError as error:
        raise missing_packages(error) from error
    place = locate_weights(path)
    content, metadata = _read_all(place)
    info = _read_info(metadata, content, place)
    if info is not None and model is not None and not is_same_model(info.model, model):
        raise LoadError(
            f"{place.main}: its metadata says that these weights are {shorten(info.model)}, not "
            f"{model}: pass --model {shorten(info.model)}"
        )
    found = _translate(content, str(place.main), headless, model)
    return Checkpoint(
        state=found.state,
        architecture=found.architecture,
        averaged=found.averaged,
        info=info,
        place=place,
        content=content,
        metadata=metadata,
        where=found.where,
        head=found.head,
        normalisation=found.normalisation,
        notes=(*place.notes, *found.notes),
    )


def _translate(content: object, source: str, headless: bool, model: str | None) -> Translation:
    """Translate by the requested model's family, or by the first that knows the checkpoint."""
    candidates = families() if model is None else (family_of_model(model),)
    failure: LoadError | None = None
    for family in candidates:
        try:
            return family.translate(content, source, headless, model)
        except LoadError as error:
            failure = failure or error
    assert failure is not None  # there is at least one family
    raise failure


def _read_all(place: WeightsPlace) -> tuple[object, dict[str, str]]:
    """Return the content and metadata of one file, or the joined tensors of all shards."""
    if len(place.files) == 1 and place.index is None:
        return _read_file(place.files[0])
    joined: dict[Any, Any] = {}
    metadata: dict[str, str] = {}
    for shard in place.files:
        content, stated = _read_file(shard)
        if not isinstance(content, dict):
            raise LoadError(f"{shard}: a shard without tensors; fetch the whole folder again")
        if twice := next((name for name in content if name in joined), None):
            raise LoadError(
                f"{shard}: '{str(twice)[:200]}' is in another shard too; fetch it again"
            )
        joined.update(content)
        metadata.update(stated)
    return joined, metadata


def _read_file(path: Path) -> tuple[object, dict[str, str]]:
    try:
        kind = recognise(path)
    except OSError as error:
        raise LoadError(
            f"{path}: can't be read ({error.strerror}); check the file and its permissions"
        ) from error
    if kind.name == "safetensors":
        return _read_safetensors(path)
    if kind.name == "torch":
        return read_torch(path)[0], {}
    raise LoadError(f"{path}: is {kind.words}; {kind.remedy}")


def _read_safetensors(path: Path) -> tuple[object, dict[str, str]]:
    try:
        metadata, _ = read_header(path)
        return read_state(path), metadata
    except ArtifactError as error:
        raise LoadError(str(error)) from error


def _read_info(metadata: dict[str, str], content: object, place: WeightsPlace) -> ModelInfo | None:
    try:
        info = ModelInfo.from_metadata(metadata, place.main)
    except ArtifactError:
        return None  # written by something else
    if isinstance(content, dict) and _is_folded(info.model, content):
        raise LoadError(f"{place.main}: folded weights; pass the checkpoint they were made from")
    return info


def _is_folded(model: str, names: dict[Any, Any]) -> bool:
    """True for folded weights that this project wrote."""
    try:
        family = family_of_model(model)
    except RecipeError:
        return False
    return family.folds and family.is_folded(names)

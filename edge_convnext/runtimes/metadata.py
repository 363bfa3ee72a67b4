"""Read and check the metadata of a built model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edge_convnext.core.artifacts import (
    METADATA_KEY,
    FormName,
    GraphFormat,
    ModelInfo,
    PlacementName,
    Precision,
)
from edge_convnext.core.errors import (
    ArtifactError,
    RecipeError,
)
from edge_convnext.core.file_kinds import is_tflite
from edge_convnext.graph.file import read_proto
from edge_convnext.graph.safety import check_graph
from edge_convnext.graph.tflite_file import read_carried
from edge_convnext.networks.family import family_of_model
from edge_convnext.runtimes.tensorrt.sidecar import is_engine_file, read_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto

    from edge_convnext.networks.protocol import NetworkFamily


__all__ = ["Metadata", "read_metadata"]


@dataclass(frozen=True)
class Metadata:
    """The metadata of a built graph."""

    info: ModelInfo
    precision: Precision
    form: FormName
    placement: PlacementName | None
    format: GraphFormat = "qdq"  # `onnxruntime`: only ONNX Runtime loads it


def read_metadata(path: Path) -> Metadata:
    """Read the metadata of a built graph or LiteRT model, or the sidecar of an engine.

    Raises:
        ArtifactError: The file is missing, damaged, or not from this package.
    """
    if is_engine_file(path):
        facts = read_facts(path)
        return Metadata(facts.info, facts.precision, facts.form or "raw", facts.placement)
    if is_tflite(path):
        return _read_litert(path)
    proto = read_proto(path, weights=False)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    found = _read_fields(metadata, path)
    family = _family(found, path)
    _check_words(found, family, path)
    check_graph(proto, path, family.operations)
    _check_classes(proto, found.info, path)
    return found


def _read_litert(path: Path) -> Metadata:
    """The metadata of a LiteRT model, whose content is what was written: it was hashed."""
    found = _read_fields(read_carried(path), path)
    _check_words(found, _family(found, path), path)
    return found


def _read_fields(metadata: Mapping[str, str], path: Path) -> Metadata:
    info = ModelInfo.from_metadata(metadata, path)
    fields = json.loads(metadata[METADATA_KEY])
    try:
        return Metadata(
            info,
            fields["precision"],
            fields["form"],
            fields.get("placement"),
            fields.get("format", "qdq"),
        )
    except KeyError as error:
        raise ArtifactError(
            f"{path}: its edge-convnext metadata lacks {error}; build it again"
        ) from error


def _family(found: Metadata, path: Path) -> NetworkFamily:
    try:
        return family_of_model(found.info.model)
    except RecipeError as error:
        raise ArtifactError(f"{path}: {error}") from error


def _check_words(found: Metadata, family: NetworkFamily, path: Path) -> None:
    """Refuse a field whose value this version does not know."""
    forms = ("raw", *family.forms, *family.gpu_forms)
    placements = (None, *family.placements, *family.gpu_placements)
    for field, known in (
        ("precision", get_args(Precision)),
        ("form", forms),
        ("placement", placements),
        ("format", get_args(GraphFormat)),
    ):
        if getattr(found, field) not in known:
            raise ArtifactError(
                f"{path}: its edge-convnext metadata has a {field} that this version does not "
                "know; build it again"
            )


def _check_classes(proto: ModelProto, info: ModelInfo, path: Path) -> None:
    shape = proto.graph.output[0].type.tensor_type.shape.dim
    classes = shape[-1].dim_value if len(shape) == 2 else 0
    if classes not in (0, info.num_classes):
        raise ArtifactError(
            f"{path}: gives {classes} logits, and its metadata says {info.num_classes} classes; "
            "build it again"
        )

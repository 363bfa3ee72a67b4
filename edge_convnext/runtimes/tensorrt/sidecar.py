"""The sidecar, a JSON file next to an engine: its content, its builder, and where it may run.

An engine shows nothing about itself before TensorRT reads it, and TensorRT reads any file. So this
module checks beforehand that the file is the one that was written, and that library and GPU are
those it was built for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from edge_convnext.core.artifacts import (
    METADATA_KEY,
    FormName,
    ModelInfo,
    PlacementName,
    Precision,
)
from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.file_kinds import recognise
from edge_convnext.core.files import sha256_file
from edge_convnext.runtimes.tensorrt.api import TENSORRTS, Api, TensorRt, version_tuple

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.runtimes.tensorrt.cuda import DeviceFacts

__all__ = [
    "ENGINE_SUFFIX",
    "SCHEMA",
    "EngineFacts",
    "graph_metadata",
    "is_engine_file",
    "read_facts",
    "require_runs_here",
    "sidecar_path",
]

SCHEMA = "edge-convnext/engine/3"
ENGINE_SUFFIX = ".engine"
_ENGINE_SUFFIXES = (ENGINE_SUFFIX, ".plan", ".trt")  # those of trtexec, Triton and the samples
_AMPERE = (8, 0)


@dataclass(frozen=True)
class EngineFacts:
    """The facts of a sidecar that are needed to run the engine."""

    path: Path  # the engine's file
    runtime: TensorRt
    version: str  # version of the TensorRT that built it
    precision: Precision
    form: FormName | None  # None: the graph was not from this package
    placement: PlacementName | None
    engine_sha256: str
    compute_capabilities: tuple[str, ...]
    gpu: str | None  # the GPU it was tuned on; None if it was compiled ahead of time
    version_compatible: bool
    hardware_compatible: bool
    batch: int | None  # its only batch size; None if it has an optimization profile
    max_batch: int
    model: Mapping[str, Any] | None  # the graph's metadata

    @property
    def info(self) -> ModelInfo:
        """Classes and preprocessing of the model.

        Raises:
            ArtifactError: The engine's graph had no metadata of this package.
        """
        carried = {METADATA_KEY: json.dumps(self.model)} if self.model else {}
        return ModelInfo.from_metadata(carried, sidecar_path(self.path))


def is_engine_file(path: Path) -> bool:
    """True if a model is an engine, by its bytes; by its name if they don't show it."""
    try:
        kind = recognise(path).name if path.is_file() else "other"
    except OSError:
        kind = "other"
    return kind == "engine" or (kind != "graph" and path.suffix.lower() in _ENGINE_SUFFIXES)


def sidecar_path(engine: Path) -> Path:
    """Path of an engine's sidecar: builder, devices, kernels, profile, graph and model."""
    return engine.with_name(f"{engine.name}.json")


def graph_metadata(path: Path) -> dict[str, Any] | None:
    """Read the metadata of a graph, which an engine can't contain; None if it has none of ours.

    It has weights, licence, classes and preprocessing.

    Raises:
        ArtifactError: The metadata is no JSON.
    """
    import onnx

    proto = onnx.load(str(path), load_external_data=False)
    found = {entry.key: entry.value for entry in proto.metadata_props}
    if METADATA_KEY not in found:
        return None
    try:
        fields: dict[str, Any] = json.loads(found[METADATA_KEY])
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: its edge-convnext metadata is no JSON; export it again"
        ) from error
    return fields


def read_facts(engine: Path) -> EngineFacts:
    """Read an engine's sidecar.

    Raises:
        ArtifactError: The engine or its sidecar is missing, or the sidecar is damaged or of an
            older version.
    """
    if not engine.is_file():
        raise ArtifactError(f"{engine}: no such engine; build it with `edge-convnext engine`")
    path = sidecar_path(engine)
    try:
        fields = json.loads(read_text_bounded(path))
        flags = fields["flags"]
        _check_values(fields)
        return EngineFacts(
            path=engine,
            runtime=fields["runtime"],
            version=str(fields["tensorrt"]),
            precision=fields["precision"],
            form=fields["form"],
            placement=fields["placement"],
            engine_sha256=str(fields["engine_sha256"]),
            compute_capabilities=tuple(map(str, fields["compute_capabilities"])),
            gpu=fields["gpu"]["name"] if fields["gpu"] else None,
            version_compatible=bool(flags.get("version_compatible")),
            hardware_compatible=bool(flags.get("hardware_compatible")),
            batch=fields["batch"],
            max_batch=int(fields["batch"] or fields["profile"]["max"][0]),
            model=fields["model"],
        )
    except OSError as error:
        raise ArtifactError(
            f"{path}: {error.strerror}; an engine runs on the NVIDIA GPU it was built for, which "
            "the JSON file next to it states: keep the two together"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: damaged, or of an older version ({type(error).__name__}: {error}); build "
            "the engine again"
        ) from error


def _check_values(fields: Mapping[str, Any]) -> None:
    """Check the values: a sidecar may be anyone's, and `runtime` names a module to import."""
    allowed = {"runtime": TENSORRTS, "precision": get_args(Precision)}
    for key, words in allowed.items():
        if fields[key] not in words:
            raise ValueError(f"{key} is none of {', '.join(words)}")
    for key, kind in (("batch", int), ("model", dict)):
        if fields[key] is not None and not isinstance(fields[key], kind):
            raise ValueError(f"{key} is no {kind.__name__}")


def require_runs_here(facts: EngineFacts, api: Api, device: DeviceFacts) -> None:
    """Refuse an engine that is not for this machine, before TensorRT reads it.

    Raises:
        ArtifactError: The engine was changed, or is for another TensorRT or another GPU.
    """
    reason = _why_not(facts, api, device)
    if reason is not None:
        raise ArtifactError(f"{facts.path}: {reason}; build the engine again on this machine")


def _why_not(facts: EngineFacts, api: Api, device: DeviceFacts) -> str | None:
    if sha256_file(facts.path) != facts.engine_sha256:
        return "is not the file that its sidecar describes (the SHA-256 differs)"
    if facts.runtime != api.name:
        return f"is for {facts.runtime}, and this is {api.name}"
    if facts.version != api.version and not _reads(facts, api):
        flag = "" if facts.version_compatible else ", and is not version-compatible"
        return f"was built by {facts.runtime} {facts.version}{flag}; this is {api.version}"
    capability = device.compute_capability
    if facts.hardware_compatible and version_tuple(capability) >= _AMPERE:
        return None
    if capability not in facts.compute_capabilities:
        wanted = ", ".join(facts.compute_capabilities)
        return f"is for compute capability {wanted}; the {device.name} has {capability}"
    if facts.gpu is not None and facts.gpu != device.name and not facts.hardware_compatible:
        return f"was tuned on {facts.gpu}, and this is {device.name}"
    return None


def _reads(facts: EngineFacts, api: Api) -> bool:
    """True if this TensorRT runs a version-compatible engine: up to the next major version.

    Source: TensorRT 11.4, support matrix: 8 -> 10 and 10 -> 11.
    """
    built, here = version_tuple(facts.version), version_tuple(api.version)
    if not built or not here:  # a sidecar's version may be any text
        return False
    following = {8: (8, 10), 10: (10, 11)}.get(built[0], (built[0],))
    return facts.version_compatible and here >= built and here[0] in following

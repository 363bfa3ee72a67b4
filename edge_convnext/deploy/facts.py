"""What is known of a file that is to be deployed: tensors, batch sizes, preprocessing, classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edge_convnext.artifacts import METADATA_KEY, ModelInfo
from edge_convnext.bounded import read_text_bounded
from edge_convnext.engine import sidecar_path
from edge_convnext.errors import ArtifactError, EdgeConvNextError
from edge_convnext.files import sha256_file
from edge_convnext.graph_file import read_proto

if TYPE_CHECKING:
    from onnx import ValueInfoProto

__all__ = ["Deployable", "Kind", "Tensor", "find_model", "read_deployable", "read_tensors"]

Kind = Literal["tensorrt", "tensorrt_rtx", "onnx"]

_TYPES = {1: "float32", 10: "float16", 2: "uint8"}  # of TensorProto


@dataclass(frozen=True)
class Tensor:
    """An input or an output; the first size is the batch, None where it is free."""

    name: str
    dtype: str  # "float32", "float16" or "uint8"
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Deployable:
    """An engine or an ONNX graph of a build."""

    path: Path
    kind: Kind
    info: ModelInfo
    metadata: dict[str, Any]  # the model's, as the graph carries it
    max_batch: int | None  # of an engine's profile; None where the graph decides
    version_compatible: bool
    onnx_sha256: str | None  # of the graph an engine was built from


def find_model(folder: Path, kinds: tuple[Kind, ...]) -> Path:
    """The file of a build to deploy: of the first kind there is, what the verdict ships.

    Args:
        folder: What `edge-convnext build` wrote.
        kinds: That will do, the best first.

    Raises:
        ArtifactError: Not a build, or nothing of these kinds in it.
    """
    if not (folder / "report.json").is_file():
        raise ArtifactError(f"{folder}: no report.json in it; pass the folder of a build")
    shipped = _shipped(folder)
    found = {kind: [path for path in _models(folder) if _kind_of(path) == kind] for kind in kinds}
    for kind in kinds:
        best = sorted(found[kind], key=lambda path: (f".{shipped}." not in path.name, str(path)))
        if best:
            return best[0]
    raise ArtifactError(
        f"{folder}: no engine that this format can use; build one (--target rtx, or with TensorRT "
        "on the board it is for), or pass --model"
    )


def read_deployable(path: Path) -> Deployable:
    """Read a file's preprocessing and classes.

    Args:
        path: An ONNX file, or an engine with its JSON file.

    Raises:
        ArtifactError: Missing, damaged or not ours.
    """
    kind = _kind_of(path)
    fields: dict[str, Any] = {}
    if kind == "onnx":
        proto = read_proto(path, weights=False)
        carried = {entry.key: entry.value for entry in proto.metadata_props}
    else:
        fields = _read_sidecar(path)
        carried = {METADATA_KEY: json.dumps(fields.get("model"))}
    info = ModelInfo.from_metadata(carried, path)
    profile = fields.get("profile")
    return Deployable(
        path=path,
        kind=kind,
        info=info,
        metadata=json.loads(carried[METADATA_KEY]),
        max_batch=int(profile["max"][0]) if profile else None,
        version_compatible=bool(fields.get("flags", {}).get("version_compatible")),
        onnx_sha256=fields.get("onnx_sha256"),
    )


def read_tensors(model: Deployable, folder: Path) -> tuple[Tensor, Tensor]:
    """The images and the logits; of an engine as its graph has them.

    Args:
        model: From `read_deployable`.
        folder: Of the build, where an engine's graph is looked for.

    Raises:
        ArtifactError: The graph is not in the build, or has other tensors than a build's.
    """
    graph = model.path if model.kind == "onnx" else _find_graph(folder, model)
    proto = read_proto(graph, weights=False)
    weights = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    if len(inputs) != 1 or len(proto.graph.output) != 1:
        raise ArtifactError(f"{graph}: has to have one input and one output; build it again")
    return _tensor(inputs[0], graph), _tensor(proto.graph.output[0], graph)


def _models(folder: Path) -> Iterator[Path]:
    for pattern in ("*.engine", "*.onnx", "gpu/*.engine", "gpu/*.onnx"):
        yield from sorted(folder.glob(pattern))


def _kind_of(path: Path) -> Kind:
    """Engines of TensorRT for RTX were the first, and their JSON did not name a runtime."""
    if path.suffix != ".engine":
        return "onnx"
    return "tensorrt" if _read_sidecar(path).get("runtime") == "tensorrt" else "tensorrt_rtx"


def _shipped(folder: Path) -> str:
    from edge_convnext.report import Report

    try:
        ship = Report.read(folder / "report.json").verdict.ship
    except EdgeConvNextError:
        return "int8"
    return "int8" if ship == "undecided" else ship


def _read_sidecar(engine: Path) -> dict[str, Any]:
    path = sidecar_path(engine)
    try:
        fields = json.loads(read_text_bounded(path))
        if not isinstance(fields, dict):
            raise ValueError("not an object")
        return fields
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: can't be read ({error}); keep it with its engine") from error


def _find_graph(folder: Path, model: Deployable) -> Path:
    for path in _models(folder):
        if path.suffix == ".onnx" and sha256_file(path) == model.onnx_sha256:
            return path
    raise ArtifactError(
        f"{model.path}: the ONNX graph it was built from, which has its tensors, is not in "
        f"{folder}; pass the build's folder, or --model with an .onnx model"
    )


def _tensor(value: ValueInfoProto, graph: Path) -> Tensor:
    kind = value.type.tensor_type
    if kind.elem_type not in _TYPES:
        raise ArtifactError(f"{graph}: {value.name} is neither float nor uint8; build it again")
    shape = tuple(size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim)
    if len(shape) < 2 or None in shape[1:]:
        raise ArtifactError(f"{graph}: {value.name} has free sizes beside the batch")
    return Tensor(value.name, _TYPES[kind.elem_type], shape)

"""What is known of a file that is to be deployed: tensors, batch sizes, preprocessing, classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edge_convnext.artifacts import METADATA_KEY, ModelInfo
from edge_convnext.engine import sidecar_path
from edge_convnext.errors import ArtifactError, EdgeConvNextError
from edge_convnext.files import sha256_file
from edge_convnext.graph_file import read_proto

if TYPE_CHECKING:
    from onnx import ValueInfoProto

__all__ = ["Deployable", "Tensor", "find_model", "read_deployable"]

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
    images: Tensor
    logits: Tensor
    max_batch: int | None  # an engine's; None where any batch size runs
    version_compatible: bool


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


def read_deployable(path: Path, folder: Path) -> Deployable:
    """Read a file's tensors and preprocessing.

    Args:
        path: An ONNX file, or an engine with its JSON file.
        folder: Of the build; an engine's graph is looked for here, because it has the names.

    Raises:
        ArtifactError: Missing, damaged, not ours, or an engine whose graph is not in the build.
    """
    kind = _kind_of(path)
    if kind == "onnx":
        graph, fields = path, {}
    else:
        fields = _read_sidecar(path)
        graph = _find_graph(folder, str(fields.get("onnx_sha256")), path)
    proto = read_proto(graph, weights=False)
    carried = {entry.key: entry.value for entry in proto.metadata_props}
    weights = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    if len(inputs) != 1 or len(proto.graph.output) != 1:
        raise ArtifactError(f"{graph}: has to have one input and one output; build it again")
    profile = fields.get("profile")
    images = _tensor(inputs[0], graph)
    return Deployable(
        path=path,
        kind=kind,
        info=ModelInfo.from_metadata(carried, graph),
        metadata=json.loads(carried[METADATA_KEY]),
        images=images,
        logits=_tensor(proto.graph.output[0], graph),
        max_batch=int(profile["max"][0]) if profile else images.shape[0],
        version_compatible=bool(fields.get("flags", {}).get("version_compatible")),
    )


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
        fields = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(fields, dict):
            raise ValueError("not an object")
        return fields
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: can't be read ({error}); keep it with its engine") from error


def _find_graph(folder: Path, digest: str, engine: Path) -> Path:
    for path in _models(folder):
        if path.suffix == ".onnx" and sha256_file(path) == digest:
            return path
    raise ArtifactError(
        f"{engine}: the ONNX graph it was built from is not in {folder}; pass the build's folder"
    )


def _tensor(value: ValueInfoProto, graph: Path) -> Tensor:
    kind = value.type.tensor_type
    if kind.elem_type not in _TYPES:
        raise ArtifactError(f"{graph}: {value.name} is neither float nor uint8; build it again")
    shape = tuple(size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim)
    if len(shape) < 2 or None in shape[1:]:
        raise ArtifactError(f"{graph}: {value.name} has free sizes beside the batch")
    return Tensor(value.name, _TYPES[kind.elem_type], shape)

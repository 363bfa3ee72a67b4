"""Facts about a file to deploy: tensors, batch sizes, preprocessing, classes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from edge_convnext.core.artifacts import GPU_FOLDER, METADATA_KEY, ModelInfo
from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import ArtifactError, shorten
from edge_convnext.core.file_kinds import is_tflite
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bundle.manifest import REPORT
from edge_convnext.devices.deploy.provenance import require_of_build, require_whole_engine
from edge_convnext.devices.deploy.served import choose_for_onnxruntime
from edge_convnext.graph.file import fixed_batch, read_proto
from edge_convnext.graph.tflite_file import read_carried
from edge_convnext.report.contract import Report
from edge_convnext.report.guessing import warn_of_guessing
from edge_convnext.runtimes.tensorrt.api import TENSORRTS, TensorRt
from edge_convnext.runtimes.tensorrt.rtx_builder import sidecar_path

if TYPE_CHECKING:
    from onnx import ValueInfoProto

__all__ = [
    "Choice",
    "Deployable",
    "Kind",
    "Tensor",
    "choose_model",
    "read_deployable",
    "read_tensors",
]

Kind = Literal["tensorrt", "tensorrt_rtx", "onnx", "litert"]

_LABELS = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX", "onnx": "ONNX",
           "litert": "LiteRT"}  # fmt: skip
_TYPES = {1: "float32", 10: "float16", 2: "uint8"}  # of TensorProto


@dataclass(frozen=True)
class Tensor:
    """An input or an output; the first size is the batch, None where it is free."""

    name: str
    dtype: str  # "float32", "float16" or "uint8"
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Deployable:
    """An engine, an ONNX graph or a LiteRT model of a build."""

    path: Path
    kind: Kind
    info: ModelInfo
    metadata: dict[str, Any]  # the model's, as the graph carries it
    max_batch: int | None  # of an engine's profile; None where the graph decides
    version_compatible: bool
    onnx_sha256: str | None  # of the graph an engine was built from
    precision: str | None  # None: not stated in an older file
    batch: int | None  # the one size it runs; None where it is free
    compute_capabilities: tuple[str, ...]  # of an engine

    @property
    def label(self) -> str:
        """Facts that the file's name does not have: `int8, TensorRT, compute capability 8.7, …`.

        Sizes are `batch 1` or `batch up to 8`.
        """
        capabilities = ", ".join(self.compute_capabilities)
        return ", ".join(
            [
                *([self.precision] if self.precision else []),
                _LABELS[self.kind],
                *([f"compute capability {capabilities}"] if capabilities else []),
                *([f"batch {self.batch}"] if self.batch else []),
                *([f"batch up to {self.max_batch}"] if self.max_batch and not self.batch else []),
            ]
        )


@dataclass(frozen=True)
class Choice:
    """A file of a build, and why it was chosen."""

    path: Path
    why: str  # a clause for the user
    warning: str | None = None  # what the report says against using any of them


def choose_model(
    folder: Path, kinds: tuple[Kind, ...], named: Path | None = None, *, for_gpu: bool = False
) -> Choice:
    """Choose the file of a build to deploy: the shipped one, of the first kind that exists.

    Args:
        folder: Folder that `edge-convnext build` wrote.
        kinds: Usable kinds, the best first.
        named: File that the user chose.
        for_gpu: True takes graphs for TensorRT, False those for ONNX Runtime.

    Raises:
        ArtifactError: It is no build, or has no file of these kinds.
    """
    if not (folder / REPORT).is_file():
        raise ArtifactError(f"{folder}: no report.json in it; pass the folder of a build")
    report = Report.read(folder / REPORT)
    warning = warn_of_guessing(report)
    if named is not None:
        return Choice(named, "as --model says", warning)
    ship = report.verdict.ship
    wanted = "int8" if ship == "undecided" else ship
    models = [path for path in _models(folder) if not for_gpu or path.parent.name == GPU_FOLDER]
    found = {kind: [path for path in models if _kind_of(path) == kind] for kind in kinds}
    for kind in kinds:
        if not found[kind]:
            continue
        if kind == "onnx" and not for_gpu and (raced := choose_for_onnxruntime(folder, report)):
            return Choice(*raced, warning)
        best = min(found[kind], key=lambda path: (not _is_of(path, wanted), _order(path)))
        return Choice(best, _why(best, ship, wanted, len(found[kind])), warning)
    what, how = "engine", "--target rtx, or with TensorRT on the board it is for"
    if for_gpu:
        what = "graph for TensorRT"
    elif kinds == ("litert",):
        what, how = "LiteRT model", "with the extra litert installed, for --target cpu"
    raise ArtifactError(
        f"{folder}: no {what} that this format can use; build one ({how}), or pass --model"
    )


def _is_of(path: Path, precision: str) -> bool:
    """Whether the name says so: `model.int8.onnx`, or `int8.b1.engine` in `gpu/`."""
    return f".{precision}." in f".{path.name}"


def _order(path: Path) -> tuple[int, str]:
    """Sort key: the batch size, where the name has one."""
    match = re.search(r"\.b(\d+)\.", f".{path.name}")
    return (int(match[1]) if match else 0, str(path))


def _why(path: Path, ship: str, wanted: str, found: int) -> str:
    others = f" among {found}" if found > 1 else ""
    if ship == "undecided":
        return f"the verdict is undecided: a guess{others}; --model takes another"
    if not _is_of(path, wanted):
        return (
            f"the verdict ships {wanted.upper()}, which this format has no file of here; --model "
            "takes another"
        )
    return f"the verdict ships {wanted.upper()}"


def read_deployable(path: Path, folder: Path) -> Deployable:
    """Read a file's preprocessing and classes.

    Args:
        path: ONNX or LiteRT file, or engine with its JSON file.
        folder: Folder of the build.

    Raises:
        ArtifactError: The file is missing, damaged, not from a build, or of another build.
    """
    kind = _kind_of(path)
    fields: dict[str, Any] = {}
    if kind == "litert":
        carried = read_carried(path)
    elif kind == "onnx":
        proto = read_proto(path, weights=False)
        carried = {entry.key: entry.value for entry in proto.metadata_props}
    else:
        fields = _read_sidecar(path)
        _check_types(fields, path)
        require_whole_engine(path)
        carried = {METADATA_KEY: json.dumps(fields.get("model"))}
    info = ModelInfo.from_metadata(carried, path)
    require_of_build(path, fields.get("onnx_sha256"), folder)
    metadata = json.loads(carried[METADATA_KEY])
    profile = fields.get("profile")
    precision = (fields or metadata).get("precision")
    return Deployable(
        path=path,
        kind=kind,
        info=info,
        metadata=metadata,
        max_batch=profile["max"][0] if profile else None,
        version_compatible=bool((fields.get("flags") or {}).get("version_compatible")),
        onnx_sha256=fields.get("onnx_sha256"),
        precision=precision if isinstance(precision, str) else None,
        batch=fixed_batch(path) if kind in ("onnx", "litert") else fields.get("batch"),
        compute_capabilities=tuple(map(str, fields.get("compute_capabilities") or ())),
    )


def read_tensors(model: Deployable, folder: Path) -> tuple[Tensor, Tensor]:
    """Read the images and the logits; for an engine, from its graph.

    Args:
        model: Model from `read_deployable`.
        folder: Folder of the build, where an engine's graph is looked for.

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
    for pattern in ("*.engine", "*.onnx", "*.tflite", "cpu/*.onnx", "gpu/*.engine", "gpu/*.onnx"):
        yield from sorted(folder.glob(pattern))


def _kind_of(path: Path) -> Kind:
    """Kind of a file. A JSON file without a runtime is of an old engine of TensorRT for RTX."""
    if is_tflite(path):
        return "litert"
    if path.suffix != ".engine":
        return "onnx"
    runtime = _read_sidecar(path).get("runtime", "tensorrt_rtx")
    if runtime not in TENSORRTS:  # the deployed script imports what it names
        raise ArtifactError(
            f"{sidecar_path(path)}: names {shorten(repr(runtime))}, which is no runtime of engines "
            f"({', '.join(TENSORRTS)}); build the engine again"
        )
    return cast("TensorRt", runtime)


def _read_sidecar(engine: Path) -> dict[str, Any]:
    path = sidecar_path(engine)
    try:
        fields = json.loads(read_text_bounded(path))
        if not isinstance(fields, dict):
            raise ValueError("not an object")
        return fields
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: can't be read ({error}); keep it with its engine") from error


def _check_types(fields: dict[str, Any], engine: Path) -> None:
    """Check the types of a sidecar, which may come from a stranger. Older ones lack some values.

    Raises:
        ArtifactError: A value has another type than an engine's.
    """
    kinds = {
        "profile": dict, "flags": dict, "onnx_sha256": str, "precision": str, "batch": int,
        "compute_capabilities": list, "model": dict,
    }  # fmt: skip
    wrong = [
        key for key, kind in kinds.items() if fields.get(key) is not None
        and type(fields[key]) is not kind
    ]  # fmt: skip
    if not wrong and (profile := fields.get("profile")):
        sizes = profile.get("max")
        if not (isinstance(sizes, list) and sizes and type(sizes[0]) is int):
            wrong = ["profile"]
    if wrong:
        raise ArtifactError(
            f"{sidecar_path(engine)}: damaged ('{wrong[0]}' is not what a build writes there); "
            "build the engine again"
        )


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
        raise ArtifactError(
            f"{graph}: {value.name} has free sizes other than the batch; build again"
        )
    return Tensor(value.name, _TYPES[kind.elem_type], shape)

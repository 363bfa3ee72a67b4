"""Read and write ONNX graphs, and look at their types and sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edge_convnext.core.artifacts import METADATA_KEY
from edge_convnext.core.bounded import require_regular
from edge_convnext.core.errors import ArtifactError, shorten_names
from edge_convnext.core.file_kinds import is_tflite, recognise
from edge_convnext.core.files import atomic_path
from edge_convnext.graph.bare import copy_bare

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from onnx import ModelProto

__all__ = [
    "copy_message",
    "element_types",
    "fixed_batch",
    "read_facts",
    "read_opset",
    "read_proto",
    "set_facts",
    "write_proto",
]


_Part = TypeVar("_Part", bound="Message")

_MOST_BYTES = 2 << 30  # protobuf's limit

_ONNX_DOMAIN = ("", "ai.onnx")


def read_proto(path: Path, *, weights: bool = True) -> ModelProto:
    """Read a graph.

    Args:
        path: ONNX file.
        weights: True also reads weights that lie in files beside it.

    Raises:
        ArtifactError: The file is missing, or is not ONNX.
    """
    import onnx
    from google.protobuf.message import DecodeError  # what onnx.load raises

    try:
        if require_regular(path) > _MOST_BYTES:
            raise ArtifactError(f"{path}: over {_MOST_BYTES} bytes, more than a graph can have")
        # As bytes: for other suffixes onnx would read text.
        proto = onnx.load(str(path), format="protobuf", load_external_data=weights)
    except IsADirectoryError as error:
        raise ArtifactError(f"{path}: a folder; {_tell_models(path)}") from error
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; pass a built .onnx model") from error
    except (DecodeError, onnx.checker.ValidationError) as error:  # the second is for external data
        raise ArtifactError(f"{path}: {_tell_other(path)}") from error
    if not any(entry.domain in _ONNX_DOMAIN for entry in proto.opset_import):
        raise ArtifactError(f"{path}: empty, or not ONNX; build it again")  # b"" is a valid message
    return proto


def _tell_models(folder: Path) -> str:
    """The built models in a folder, and what to do."""
    found = sorted(
        path.relative_to(folder).as_posix()
        for pattern in ("*.onnx", "*/*.onnx", "*.engine", "*/*.engine", "*.tflite")
        for path in folder.glob(pattern)
    )
    if not found:
        return "there is no built model in it; `edge-convnext build` writes one"
    return f"pass one of the models in it: {shorten_names(found)}"


def _tell_other(path: Path) -> str:
    """Words on a file that is no whole graph."""
    kind = recognise(path)
    if kind.name in ("torch", "safetensors"):
        return f"{kind.words}; build it first (`edge-convnext build --weights {path}`)"
    if kind.name == "tflite":
        return "a LiteRT model, and an ONNX graph is needed here; pass the .onnx model of its build"
    return "truncated, or not ONNX; build it again"


def write_proto(proto: ModelProto, output: Path) -> None:
    """Write a graph, whole or not at all; equal graphs give equal bytes."""
    with atomic_path(output) as scratch:
        scratch.write_bytes(proto.SerializeToString(deterministic=True))


def read_opset(proto: ModelProto) -> int:
    """The version of ONNX's own operations that a graph is written in."""
    return max(entry.version for entry in proto.opset_import if entry.domain in _ONNX_DOMAIN)


def fixed_batch(path: Path) -> int | None:
    """The one batch size that a graph takes; None where it is free, as in LiteRT models.

    Raises:
        ArtifactError: The file is missing, or is not ONNX.
    """
    if is_tflite(path):
        return None
    graph = read_proto(path, weights=False).graph
    sizes = graph.input[0].type.tensor_type.shape.dim if graph.input else ()
    return sizes[0].dim_value or None if sizes else None


def read_facts(proto: ModelProto) -> dict[str, Any]:
    """This package's metadata; empty where the graph carries none that can be read."""
    stated = next((one.value for one in proto.metadata_props if one.key == METADATA_KEY), "{}")
    try:
        facts = json.loads(stated)
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def set_facts(proto: ModelProto, **facts: Any) -> None:
    """Add to this package's metadata, if the graph carries any, or change it."""
    for entry in proto.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = json.dumps({**json.loads(entry.value), **facts}, sort_keys=True)


def element_types(proto: ModelProto) -> dict[str, int]:
    """Element type of every value, a number of `TensorProto.DataType`, as ONNX infers it.

    Values of operations that ONNX does not know are missing.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(copy_bare(proto)).graph
    types = {tensor.name: int(tensor.data_type) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.elem_type:
            types[value.name] = int(value.type.tensor_type.elem_type)
    return types


def copy_message(message: _Part) -> _Part:
    """A copy of a graph, a node or another part of one."""
    made = type(message)()
    made.CopyFrom(message)
    return made

"""Read a user's ONNX file, and weights that lie beside it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edge_convnext.core.bounded import require_regular
from edge_convnext.core.errors import ArtifactError, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto, TensorProto

__all__ = ["external_files", "read_foreign"]

_MOST_BYTES = (2 << 30) - (1 << 20)  # of the graph and all weights: protobuf's limit
_MOST_FILES = 10_000


def read_foreign(path: Path) -> ModelProto:
    """Read a graph with its weights, those in files beside it too.

    Raises:
        ArtifactError: It is no ONNX, too large, or names files that are not beside it; a line
            without the file's name.
    """
    proto = _parse(path)
    total = proto.ByteSize()
    for tensor in _external(proto):
        data = _read_external(tensor, path)
        total += len(data)
        if total > _MOST_BYTES:
            raise ArtifactError(f"has over {_MOST_BYTES} bytes of weights; pass a smaller model")
        tensor.raw_data = data
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    return proto


def external_files(path: Path) -> tuple[Path, ...]:
    """Files beside a graph that hold its weights, each once.

    Raises:
        ArtifactError: As for `read_foreign`.
    """
    found: dict[str, None] = {}
    for tensor in _external(_parse(path)):
        found.setdefault(_location(tensor)[0])
        if len(found) > _MOST_FILES:
            raise ArtifactError(f"has its weights in over {_MOST_FILES} files; save it as one file")
    return tuple(_beside(path, name) for name in found)


def _parse(path: Path) -> ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        if (size := require_regular(path)) > _MOST_BYTES:
            raise ArtifactError(f"has {size} bytes, and a graph has at most {_MOST_BYTES}")
        proto = onnx.ModelProto.FromString(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"can't be read ({error.strerror})") from error
    except (DecodeError, MemoryError, RecursionError, ValueError) as error:
        raise ArtifactError("truncated, or not ONNX; copy or export it again") from error
    if not proto.graph.node:
        raise ArtifactError("empty, or not ONNX: it has no operations; export it again")
    return proto


def _external(proto: ModelProto) -> Iterator[TensorProto]:
    for tensor in proto.graph.initializer:
        if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
            yield tensor
    for node in proto.graph.node:
        for attribute in node.attribute:
            for tensor in (attribute.t, *attribute.tensors):
                if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
                    yield tensor


def _location(tensor: TensorProto) -> tuple[str, int, int | None]:
    """Name of the file, where in it the weight begins, and its length if that is stated."""
    stated = {one.key: one.value for one in tensor.external_data}
    name = stated.get("location", "")
    name = name.removeprefix("./") if isinstance(name, str) else ""  # bytes where it is no UTF-8
    odd = not name.isprintable() or "\\" in name or name in ("", ".", "..")
    if odd or PurePosixPath(name).name != name:
        raise ArtifactError(
            f"has its weights in another folder ({shorten(name, 80)}); put them beside it, or save "
            "it as one file"
        )
    try:
        offset = int(stated.get("offset") or 0)
        length = int(stated["length"]) if stated.get("length") else None
    except ValueError:
        offset, length = -1, None
    if offset < 0 or (length is not None and length < 0):
        raise ArtifactError("names a place for its weights that is none; export it again")
    return name, offset, length


def _beside(path: Path, name: str) -> Path:
    """A file in the graph's own folder; what links elsewhere is refused, as its content leaks.

    Caches of the hub link both files into one folder of theirs.
    """
    found = path.with_name(name)
    try:
        require_regular(found)
        homes = {path.resolve().parent, path.absolute().parent.resolve()}
        if found.resolve().parent not in homes:
            raise ArtifactError(
                f"has its weights in {shorten(name, 80)}, which links out of its folder; put the "
                "file itself beside it"
            )
    except OSError as error:
        raise ArtifactError(
            f"has its weights in {shorten(name, 80)}, which can't be read beside it "
            f"({error.strerror}); fetch both files"
        ) from error
    return found


def _read_external(tensor: TensorProto, path: Path) -> bytes:
    name, offset, length = _location(tensor)
    file = _beside(path, name)
    size = file.stat().st_size
    length = size - offset if length is None else length
    if length < 0 or offset + length > size or length > _MOST_BYTES:
        raise ArtifactError(
            f"has weights in {shorten(name, 80)} that the file is too short for; fetch both again"
        )
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(length)

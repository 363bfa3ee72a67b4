"""The file of a LiteRT model: the flatbuffer, and behind it a zip of what it says of itself.

Android's tools put a model's labels into a zip behind the flatbuffer ("associated files"), and
every LiteRT reads past it. Ours has `labels.txt`, and `edge_convnext.json`: the model's metadata,
and the SHA-256 of the flatbuffer. That is compared before LiteRT is given the file: its own check
is of the structure alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from edge_convnext.core.artifacts import METADATA_KEY
from edge_convnext.core.bounded import require_regular
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import atomic_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["LABELS", "read_carried", "write_model"]

LABELS = "labels.txt"
_FACTS = "edge_convnext.json"
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can state
_MODE = 0o100644 << 16
_BLOCK = 1 << 20
_MOST_BYTES = 2 << 30  # a flatbuffer's limit
_MOST_FACTS = 1 << 24  # names of 21,841 classes take less than one MiB


def write_model(
    flatbuffer: bytes, facts: Mapping[str, Any], classes: Sequence[str], output: Path
) -> None:
    """Write a model, whole or not at all; equal input gives equal bytes.

    Args:
        flatbuffer: From `write.to_tflite`.
        facts: The model's metadata, as graphs carry it.
        classes: Class names in logit order; empty where none are known.
        output: File to write.
    """
    stated = {"sha256": hashlib.sha256(flatbuffer).hexdigest(), METADATA_KEY: dict(facts)}
    packed = io.BytesIO()
    packed.write(flatbuffer)
    with zipfile.ZipFile(packed, "a") as archive:
        _add(archive, _FACTS, json.dumps(stated, sort_keys=True))
        if classes:
            _add(archive, LABELS, "".join(f"{' '.join(name.split())}\n" for name in classes))
    with atomic_path(output) as scratch:
        scratch.write_bytes(packed.getvalue())


def _add(archive: zipfile.ZipFile, name: str, text: str) -> None:
    info = zipfile.ZipInfo(name, _NO_TIME)
    info.external_attr, info.create_system = _MODE, 3  # Unix on every system
    archive.writestr(info, text.encode())


def read_carried(path: Path) -> dict[str, str]:
    """Read the metadata of a model whose flatbuffer is whole, in the form that graphs carry it.

    Raises:
        ArtifactError: The file is missing, damaged, or not from this package.
    """
    try:
        if require_regular(path) > _MOST_BYTES:
            raise ArtifactError(f"{path}: over {_MOST_BYTES} bytes, more than a model can have")
        facts, length = _read_facts(path)
        digest = _hash_front(path, length)
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; pass a built .tflite model") from error
    if not isinstance(facts, dict) or METADATA_KEY not in facts:
        raise ArtifactError(
            f"{path}: no edge-convnext metadata in this file; pass a model that "
            "`edge-convnext build` wrote"
        )
    if facts.get("sha256") != digest:
        raise ArtifactError(f"{path}: damaged: its content is not what was written; build it again")
    return {METADATA_KEY: json.dumps(facts[METADATA_KEY])}


def _read_facts(path: Path) -> tuple[Any, int]:
    """What the zip says, and the number of bytes before it."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            start = min((one.header_offset for one in members), default=0)
            entry = archive.getinfo(_FACTS)
            if entry.file_size > _MOST_FACTS or entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its metadata is packed otherwise")
            return json.loads(archive.read(entry)), start
    except OSError:
        raise
    except Exception as error:  # of bytes that are no zip, zipfile raises nearly anything
        raise ArtifactError(
            f"{path}: damaged, or not from edge-convnext: no metadata behind the model; pass a "
            "model that `edge-convnext build` wrote"
        ) from error


def _hash_front(path: Path, length: int) -> str:
    found, left = hashlib.sha256(), length
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(_BLOCK, left))):
            found.update(block)
            left -= len(block)
    return found.hexdigest()

"""What a file is, by its first bytes: a name can be wrong, and people rename files."""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FileKind", "KindName", "is_engine", "is_tflite", "recognise"]

KindName = Literal["safetensors", "torch", "graph", "engine", "tflite", "other"]

_HEAD_BYTES = 512
_TFLITE_SUFFIX = ".tflite"
_MOST_NAMES = 200_000  # of an archive that are looked at


@dataclass(frozen=True)
class FileKind:
    """What a file is, and what to do where something else was asked for."""

    name: KindName
    words: str = ""  # "a TorchScript file (torch.jit.save)"
    remedy: str = ""  # "load it with torch.jit.load and save its state_dict()"


SAFETENSORS = FileKind("safetensors", "a safetensors file", "pass it to --weights")
TORCH = FileKind("torch", "a torch checkpoint", "pass it to --weights")
ONNX = FileKind("graph", "an ONNX graph", "pass the checkpoint that it was exported from")
ENGINE = FileKind("engine", "a TensorRT engine", "pass the checkpoint that it was built from")

_UNPACK = "unpack it, and pass the checkpoint in it"
_AGAIN = "it is not the file that was meant: fetch it again"
_KERAS = "convert it to the names of timm or torchvision, and save that with torch.save"

# The first bytes, where in the file they stand, and what the file then is.
_SIGNATURES: tuple[tuple[bytes, int, FileKind], ...] = (
    (b"version https://git-lfs", 0, FileKind(
        "other", "a pointer of Git LFS, not the file itself",
        "run `git lfs pull` (in CI, check out with LFS)")),
    (b"trt", 1, ENGINE),  # after a letter: 'ptrt' and 'ftrt' of TensorRT, 'vtrt' of RTX's
    (b"\x89HDF\r\n\x1a\n", 0, FileKind("other", "an HDF5 file, as Keras writes them", _KERAS)),
    (b"TFL3", 4, FileKind("tflite", "a TensorFlow Lite model", _KERAS)),
    (b"GGUF", 0, FileKind("other", "a GGUF file", "pass the checkpoint that it was made from")),
    (b"\x93NUMPY", 0, FileKind("other", "a NumPy array",
                               "save the state dict with torch.save or safetensors")),
    (b"ustar", 257, FileKind(
        "other", "a tar archive", "unpack it (`tar xf`), and pass the checkpoint in it; one of "
        "torch before 0.1.10 has to be loaded and saved again by an old torch")),
    (b"\x1f\x8b", 0, FileKind("other", "compressed by gzip", f"{_UNPACK} (`gunzip`, `tar xzf`)")),
    (b"BZh", 0, FileKind("other", "compressed by bzip2", _UNPACK)),
    (b"\xfd7zXZ\x00", 0, FileKind("other", "compressed by xz", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", 0, FileKind("other", "compressed by zstd", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", 0, FileKind("other", "a 7z archive", _UNPACK)),
    (b"Rar!", 0, FileKind("other", "a RAR archive", _UNPACK)),
    (b"\x89PNG", 0, FileKind("other", "an image", _AGAIN)),
    (b"\xff\xd8\xff", 0, FileKind("other", "an image", _AGAIN)),
)  # fmt: skip
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"


def recognise(path: Path) -> FileKind:
    """Recognise a regular file by its bytes; its reader finds out whether it is whole.

    Raises:
        OSError: It can't be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        size = file.seek(0, os.SEEK_END)
    if not head:
        return FileKind("other", "an empty file, damaged", "copy or save it again")
    for mark, place, kind in _SIGNATURES:
        if head[place : place + len(mark)] == mark:
            return kind
    if head[:4] in (_ZIP, _EMPTY_ZIP):
        return _recognise_zip(path)
    if _is_safetensors(head, size):
        return SAFETENSORS
    if head[0] == 0x80 and 2 <= head[1] <= 5:  # a pickle: torch before 1.6, and others
        return TORCH
    if _is_onnx(head):
        return ONNX
    return _recognise_text(head)


def is_engine(path: Path) -> bool:
    """Whether TensorRT wrote a file, judged by its bytes; False where it can't be read."""
    try:
        return path.is_file() and recognise(path).name == "engine"
    except OSError:
        return False


def is_tflite(path: Path) -> bool:
    """Whether a model is LiteRT's, by its bytes; by its name where they don't show what it is."""
    try:
        kind = recognise(path).name if path.is_file() else "other"
    except OSError:
        kind = "other"
    return kind == "tflite" or (kind == "other" and path.suffix.lower() == _TFLITE_SUFFIX)


def _is_safetensors(head: bytes, size: int) -> bool:
    """Eight bytes give the length of a JSON header, which may be cut off."""
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and 2 <= length < max(size, 1) * 4 + (100 << 20)


def _is_onnx(head: bytes) -> bool:
    """A protobuf that starts with a small `ir_version`, and then another field of a model."""
    return head[0] == 0x08 and len(head) > 2 and head[1] <= 0x20 and head[2] in _MODEL_FIELDS


# Tags of ModelProto's other fields (onnx.proto): number << 3 | wire type.
_MODEL_FIELDS = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72, 0xA2)


def _recognise_zip(path: Path) -> FileKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:_MOST_NAMES]
    except Exception:  # most often truncated: torch's own error says more
        return TORCH
    ends = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in ends or any("/code/" in name for name in names):
        return FileKind(
            "other",
            "a TorchScript file (torch.jit.save), code and weights",
            "where it was made, save model.state_dict() with torch.save, and pass that",
        )
    if "data.pkl" in ends:
        return TORCH
    if any(name.endswith(".weights.h5") for name in names):
        return FileKind("other", "a model of Keras", _KERAS)
    if ends & {"serialized_exported_program.json", "archive_format"}:
        return FileKind(
            "other", "a program of torch.export", "save model.state_dict() with torch.save"
        )
    if names and all(name.endswith(".npy") for name in names):
        return FileKind("other", "arrays of NumPy (.npz)", "save the state dict with torch.save")
    return FileKind("other", f"a zip archive of {len(names)} files", _UNPACK)


def _recognise_text(head: bytes) -> FileKind:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return FileKind("other", "a web page, not a checkpoint", _AGAIN)
    if text.startswith((b"<?xml", b"<net")):
        return FileKind(
            "other", "XML, as OpenVINO's graphs are", "pass the checkpoint that it was made from"
        )
    if re.fullmatch(rb"[\x09\x0a\x0d\x20-\x7e\x80-\xff]*", head) and head[:1] != b"\x80":
        return FileKind("other", "text, not a checkpoint", _AGAIN)
    return FileKind("other", "of a kind that is not known here", "pass a file of torch.save")

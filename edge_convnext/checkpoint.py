"""Checkpoints of any origin: read without running their code, brought into our names."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.artifacts import ModelInfo
from edge_convnext.bounded import bounded_memory
from edge_convnext.errors import ArtifactError, LoadError
from edge_convnext.weights import missing_packages, read_header, read_state

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from edge_convnext.convnext.architecture import Architecture

__all__ = ["Checkpoint", "read_checkpoint"]

_TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt")
_LFS_POINTER = b"version https://git-lfs"
_UNPACKED = 4  # times the file: torch stores without compression, and weights hardly deflate


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    state: dict[str, Tensor]  # our names, float32
    architecture: Architecture  # read off the tensors
    averaged: bool  # whether these are EMA weights that lay beside raw ones
    info: ModelInfo | None  # of files that this project wrote
    image_size: int | None  # pixels, where the file states it


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a state dict in any of the dialects of `convnext.dialects`.

    Args:
        path: `.safetensors`, or `.pth`, `.pt`, `.bin`, `.ckpt` as torch writes them.

    Raises:
        LoadError: The file is missing, damaged, holds code or no ConvNeXt, or weights that are
            incomplete or not finite.
    """
    try:
        from edge_convnext.convnext.dialects import translate
    except ImportError as error:
        raise missing_packages(error) from error
    _require_file(path)
    info = None
    if path.suffix == ".safetensors":
        content, info = _read_safetensors(path)
    elif path.suffix in _TORCH_SUFFIXES:
        content = _read_torch(path)
    else:
        kinds = ", ".join((".safetensors", *_TORCH_SUFFIXES))
        raise LoadError(f"{path}: not a checkpoint by its name; these are read: {kinds}")
    translation = translate(content, str(path))
    stated = content.get("image_size") if isinstance(content, dict) else None
    return Checkpoint(
        state=translation.state,
        architecture=translation.architecture,
        averaged=any("ema" in key for key in translation.wrappers),
        info=info,
        image_size=stated if isinstance(stated, int) and stated >= 32 else None,
    )


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise LoadError(f"{path}: a folder; pass the checkpoint file in it")
    if not path.is_file():
        raise LoadError(f"{path}: no such file; pass a checkpoint, or 'in1k' or 'random'")
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise LoadError(
                f"{path}: is a pointer of Git LFS, not the file itself; run `git lfs pull` "
                "(in CI, check out with LFS)"
            )


def _read_safetensors(path: Path) -> tuple[object, ModelInfo | None]:
    try:
        metadata, _ = read_header(path)
        state = read_state(path)
    except ArtifactError as error:
        raise LoadError(str(error)) from error
    try:
        info = ModelInfo.from_metadata(metadata, path)
    except ArtifactError:
        return state, None  # written by something else
    if "head.norm.weight" not in state:
        raise LoadError(f"{path}: folded weights; pass the checkpoint they were made from")
    return state, info


def _read_torch(path: Path) -> object:
    import torch

    limit = _UNPACKED * path.stat().st_size
    _check_declared_size(path, limit)
    try:
        # The pickle in a checkpoint may ask for memory as well, without any code in it.
        with bounded_memory(limit), warnings.catch_warnings():
            # torch warns of old pickles and TorchScript before it refuses them itself.
            warnings.simplefilter("ignore")
            # Training scripts save their parsed arguments; a Namespace only holds values.
            with torch.serialization.safe_globals([argparse.Namespace]):
                content: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"(GLOBAL|operand) ([\w.]+)", str(error))
        if found is None:
            raise _damaged(path, error) from error
        what = f"a Python object ({found[2]})" if found[1] == "GLOBAL" else "a plain pickle"
        raise LoadError(
            f"{path}: holds {what}, and loading such can run code; "
            "save model.state_dict() alone with torch.save and pass that"
        ) from error
    except MemoryError as error:
        raise LoadError(
            f"{path}: asks for more than {limit} bytes of memory, {_UNPACKED} times its own size; "
            "it is damaged or made to do harm"
        ) from error
    except Exception as error:  # of bytes that are no checkpoint, torch raises nearly anything
        raise _damaged(path, error) from error
    return content


def _check_declared_size(path: Path, limit: int) -> None:
    """Refuse a zip bomb before torch reserves what its directory says."""
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(entry.file_size for entry in archive.infolist())
    except Exception:  # of another kind, or damaged: torch says what about it
        return
    if declared > limit:
        raise LoadError(
            f"{path}: unpacks to {declared} bytes, over {_UNPACKED} times its own size; "
            "it is damaged or made to do harm"
        )


def _damaged(path: Path, error: Exception) -> LoadError:
    reason = " ".join(str(error).split()).partition(". ")[0][:120]
    kind = type(error).__name__
    return LoadError(
        f"{path}: damaged, truncated or no checkpoint ({kind}: {reason}); copy or save it again"
    )

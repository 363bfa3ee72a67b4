"""Locate weights: a file, a folder with one, or shards with an index next to them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from edge_convnext.core.bounded import read_text_bounded, require_regular
from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.core.file_kinds import FileKind, recognise
from edge_convnext.core.files import sha256_bytes, sha256_file

__all__ = ["WeightsPlace", "digest_weights", "is_training_state", "locate_weights", "why_missing"]

_INDEX_BYTES = 64 << 20
_MOST_ENTRIES = 10_000  # the most entries of a folder that are looked at
_MOST_SHARDS = 1_000
_SHOWN = 8
_SHARD = re.compile(r"(.+?)-(\d{4,6})-of-(\d{4,6})(\.\w+)")  # transformers' and diffusers' names
_INDEX_SUFFIX = ".index.json"

# Usual names of the weights in a model folder, best first. transformers, timm and
# huggingface_hub can write the same tensors in both formats.
_USUAL = ("model.safetensors", "pytorch_model.safetensors", "pytorch_model.bin", "model.bin")
# Files next to weights that torch.save wrote too (transformers' Trainer, accelerate, torch).
_NO_WEIGHTS = re.compile(
    r"(optimizer|scheduler|scaler|training_args|rng_state|random_states|sampler|trainer_state)"
    r"[\w.-]*|zero_pp_rank.*optim.*|bf16_zero.*optim.*"
)


@dataclass(frozen=True)
class WeightsPlace:
    """The files that a `--weights` leads to."""

    files: tuple[Path, ...]  # one file, or every shard
    index: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def main(self) -> Path:
        """The file that messages name; other files are looked for next to it."""
        return self.index or self.files[0]


def locate_weights(path: Path) -> WeightsPlace:
    """Follow a path to regular files; it does not check that they hold weights.

    Args:
        path: A checkpoint, an index of shards, one shard, or a folder as transformers, timm,
            huggingface_hub and trainers write them.

    Raises:
        LoadError: The path does not exist or is no regular file, a shard is missing or in another
            folder, or the folder holds no weights or several.
    """
    if not path.exists():
        raise LoadError(why_missing(path))
    if path.is_dir():
        return _locate_in(path)
    _require_file(path)
    if path.name.endswith(_INDEX_SUFFIX):
        return _read_index(path)
    shard = _SHARD.fullmatch(path.name)
    return _find_shards(path, shard) if shard else WeightsPlace((path,))


def digest_weights(place: WeightsPlace) -> str:
    """Return the SHA-256 of one file; for shards, the SHA-256 of their joined digests.

    Raises:
        OSError: A file can't be read.
    """
    digests = [sha256_file(path) for path in place.files]
    return digests[0] if len(digests) == 1 else sha256_bytes("".join(digests).encode())


def is_training_state(name: str) -> bool:
    """True if a file's name is that of trainer state, such as an optimizer's, not of weights."""
    return _NO_WEIGHTS.fullmatch(name) is not None


def why_missing(path: Path) -> str:
    """The message for a `--weights` that does not exist."""
    return f"{path}: no such file; pass a checkpoint, or 'in1k' or 'random'"


def _require_file(path: Path) -> None:
    try:
        require_regular(path)
    except OSError as error:
        raise LoadError(
            f"{path}: can't be read ({error.strerror}); pass a checkpoint file"
        ) from error


def _read_index(path: Path) -> WeightsPlace:
    """Read an index, which maps each tensor to its shard."""
    try:
        fields = json.loads(read_text_bounded(path, _INDEX_BYTES))
        names = sorted({str(name) for name in fields["weight_map"].values()})
    except OSError as error:
        raise LoadError(f"{path}: can't be read ({error.strerror})") from error
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise LoadError(
            f"{path}: no index of shards (no 'weight_map' in it); fetch it again, or pass a "
            "checkpoint file"
        ) from error
    if not names or len(names) > _MOST_SHARDS:
        raise LoadError(f"{path}: names {len(names)} shards; fetch it again")
    for name in names:
        if PurePosixPath(name).name != name or "\\" in name or name in ("", ".", ".."):
            raise LoadError(
                f"{path}: names a shard in another folder ({shorten(name)}); shards must be next "
                "to their index"
            )
    return _require_shards(path, [path.parent / name for name in names], path)


def _require_shards(path: Path, shards: Sequence[Path], index: Path | None) -> WeightsPlace:
    missing = [shard.name for shard in shards if not shard.exists()]
    if missing:
        raise LoadError(
            f"{path}: {len(missing)} of {len(shards)} shards are not next to it "
            f"({shorten(', '.join(missing[:_SHOWN]))}); fetch the whole folder"
        )
    for shard in shards:
        _require_file(shard)
    return WeightsPlace(tuple(shards), index)


def _find_shards(path: Path, shard: re.Match[str]) -> WeightsPlace:
    """Find all shards by one of them: each holds only a part of the tensors."""
    stem, number, count, suffix = shard.groups()
    note = f"{path.name} is one of {int(count)} shards; all of them were read"
    index = path.with_name(f"{stem}{suffix}{_INDEX_SUFFIX}")
    if index.is_file():
        found = _read_index(index)
        if path in found.files:
            return WeightsPlace(found.files, index, (note,))
    if not 1 <= int(count) <= _MOST_SHARDS:
        raise LoadError(f"{path}: one of {int(count)} shards by its name; fetch the whole folder")
    width = len(number)
    names = [f"{stem}-{one:0{width}d}-of-{count}{suffix}" for one in range(1, int(count) + 1)]
    if path.name not in names:  # numbered from 0, as Megatron does
        names = [f"{stem}-{one:0{width}d}-of-{count}{suffix}" for one in range(int(count))]
    missing = [name for name in names if not path.with_name(name).exists()]
    if missing:
        raise LoadError(
            f"{path}: one of {int(count)} shards; {shorten(', '.join(missing[:_SHOWN]))} and "
            f"{index.name} are not next to it: fetch the whole folder and pass that"
        )
    found = _require_shards(path, [path.with_name(name) for name in names], None)
    return WeightsPlace(found.files, None, (note,))


def _locate_in(folder: Path) -> WeightsPlace:
    """Locate the weights of a model folder; if there are several, the user has to choose."""
    folder = _hub_snapshot(folder) or folder
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, _MOST_ENTRIES))
    except OSError as error:
        raise LoadError(f"{folder}: can't be read ({error.strerror})") from error
    found, others = _sort_files(folder, names)
    usual = [name for name in _USUAL if name in found]
    indices = [name for name in names if name.endswith(_INDEX_SUFFIX)]
    chosen = usual[:1] or indices[:1] or (found if len(found) == 1 else [])
    if chosen:
        place = locate_weights(folder / chosen[0])
        left = [name for name in (*found, *indices) if not _belongs(folder / name, place)]
        return WeightsPlace(place.files, place.index, _notes(chosen[0], left))
    if found:
        raise LoadError(
            f"{folder}: {len(found)} checkpoints in this folder ({_list(found)}); pass one of them"
        )
    raise LoadError(f"{folder}: no checkpoint in this folder{_what_is_there(folder, others)}")


def _belongs(path: Path, place: WeightsPlace) -> bool:
    return path in (*place.files, place.index)


def _notes(chosen: str, left: Sequence[str]) -> tuple[str, ...]:
    if not left:
        return ()
    return (f"of the checkpoints in the folder {chosen} was read, not {_list(left)}",)


def _sort_files(folder: Path, names: Sequence[str]) -> tuple[list[str], dict[str, FileKind]]:
    """Split files by their bytes: names of weights, and the kinds of the others."""
    found: list[str] = []
    others: dict[str, FileKind] = {}
    for name in names:
        path = folder / name
        if is_training_state(name) or not path.is_file():
            continue
        try:
            kind = recognise(path)
        except OSError:
            continue
        if kind.name in ("safetensors", "torch"):
            found.append(name)
        else:
            others[name] = kind
    return found, others


def _hub_snapshot(folder: Path) -> Path | None:
    """Find the commit's folder in a hub cache (`models--OWNER--NAME/snapshots/COMMIT`)."""
    snapshots = folder if folder.name == "snapshots" else folder / "snapshots"
    if not folder.name.startswith("models--") and folder.name != "snapshots":
        return None
    head = snapshots.parent / "refs" / "main"
    try:
        commit = read_text_bounded(head, 1 << 10).strip() if head.is_file() else ""
        kept = sorted(one for one in snapshots.iterdir() if one.is_dir())
    except (OSError, UnicodeDecodeError):
        return None
    named = [one for one in kept if one.name == commit]
    return named[0] if named else kept[0] if len(kept) == 1 else None


def _what_is_there(folder: Path, others: dict[str, FileKind]) -> str:
    if (folder / "data.pkl").is_file():
        return (
            ", but the unpacked content of one (data.pkl); zip the folder again "
            "(`zip -r -0 model.pth FOLDER`), or pass the file as it was saved"
        )
    if any(name.endswith(".distcp") for name in others):
        return (
            ", but a distributed one (*.distcp); convert it with `python -m "
            "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER model.pth`"
        )
    if "saved_model.pb" in others:
        return ", but a SavedModel of TensorFlow; save the weights in the names of timm"
    below = [one.name for one in sorted(folder.iterdir()) if one.is_dir() and _has_weights(one)]
    if below:
        return f"; there are some in its folders {_list(below)}: pass one of them"
    if others:
        known = [f"{name} ({kind.words})" for name, kind in list(others.items())[:_SHOWN]]
        return f" ({_list(known)}); pass one with a checkpoint of torch or safetensors"
    return ", and no files at all; pass one with a checkpoint"


def _has_weights(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, _MOST_ENTRIES))
        return bool(_sort_files(folder, names)[0])
    except OSError:
        return False


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shorten(f"{shown}, …" if len(names) > _SHOWN else shown, 400)

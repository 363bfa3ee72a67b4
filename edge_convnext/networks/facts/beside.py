"""Files beside weights: which of them state something about these weights, and what."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import shorten
from edge_convnext.networks.facts.class_names import count_from_one, read_names
from edge_convnext.networks.facts.inside import read_content
from edge_convnext.networks.facts.name_files import parse_names
from edge_convnext.networks.facts.sayings import Crops, Said, Saying, tell_shift
from edge_convnext.networks.facts.table import FILES, FilePlace, is_file_of
from edge_convnext.networks.facts.texts import parse_json, parse_yaml
from edge_convnext.networks.weights_place import is_training_state

__all__ = ["Beside", "find_beside", "read_beside"]

_MOST_BYTES = 16 << 20
_MOST_ENTRIES = 10_000
_SHOWN = 4
_HYDRA = ".hydra"  # in the folder of a run
_CHECKPOINTS = re.compile(r".+\.(safetensors|pth|pt|bin|ckpt|th|pth\.tar)", re.IGNORECASE)
_SHARD = re.compile(r".+-\d+-of-\d+\.\w+")
# Folders that trainers put checkpoints into; files that describe the run lie above them.
_BELOW_RUN = ("checkpoints", "checkpoint", "weights", "ckpt", "ckpts")
_STEM_ENDS = re.compile(
    r"(\.(safetensors|pth|pt|bin|ckpt|tar|th|pkl|index|json|onnx))+\Z|-\d+-of-\d+.*\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Beside:
    """One file beside the weights that may state something about them."""

    path: Path
    place: FilePlace
    shown: str  # its name in messages


def find_beside(weights: Path) -> list[Beside]:
    """Find the files beside weights that are read, in the table's order.

    Pipes and devices are among them, so that a note can say that they are not read.
    """
    stem = _STEM_ENDS.sub("", weights.name)
    folders = [(weights.parent, "")]
    if weights.absolute().parent.name.lower() in _BELOW_RUN:
        folders.append((weights.absolute().parent.parent, "../"))
    folders += [(folder / _HYDRA, f"{prefix}{_HYDRA}/") for folder, prefix in tuple(folders)]
    found: list[Beside] = []
    for folder, prefix in folders:
        names = _list_names(folder)
        several = _count_checkpoints(names)
        others = _other_stems(names, weights.name)
        for place in FILES:
            found += [
                Beside(folder / name, place, _show(f"{prefix}{name}", place, several))
                for name in names
                if name != weights.name
                and is_file_of(place, name, stem)
                and all(one.path != folder / name for one in found)
                and not (place.words and name.lower().startswith(others))
                and not (folder / name).is_dir()
            ]
    return found


def _count_checkpoints(names: Sequence[str]) -> int:
    found = [name for name in names if _CHECKPOINTS.fullmatch(name) and not is_training_state(name)]
    return sum(_SHARD.fullmatch(name) is None for name in found)


def _other_stems(names: Sequence[str], own: str) -> tuple[str, ...]:
    """Beginnings of file names that belong to other checkpoints, not to this one."""
    found = {_STEM_ENDS.sub("", name).lower() for name in names if _CHECKPOINTS.fullmatch(name)}
    stem = _STEM_ENDS.sub("", own).lower()
    return tuple(f"{one}{mark}" for one in found if one != stem for mark in "._-")


def _show(name: str, place: FilePlace, several: int) -> str:
    """Name a file for messages; without a checkpoint's name it may belong to any of several."""
    own = any("{stem}" in pattern for pattern in place.patterns)
    shown = shorten(name, 120)
    return shown if own or several < 2 else f"{shown} (shared by {several} checkpoints)"


def _list_names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in islice(entries, _MOST_ENTRIES))
    except OSError:
        return []


def read_beside(
    files: Sequence[Beside], num_classes: int, channels: int, crops: Crops | None = None
) -> Said:
    """Read what files beside weights state, as far as it fits them.

    Args:
        files: Files from `find_beside`.
        num_classes: Number of classes of the classifier.
        channels: Channels of the network's input.
        crops: Known crops of published models.
    """
    said = Said(crops=crops or {})
    for one in files:
        try:
            text = _read(one.path)
        except OSError as error:
            said.notes.append(f"{one.shown} beside the weights can't be read ({error.strerror})")
            continue
        except UnicodeDecodeError:
            said.notes.append(f"{one.shown} beside the weights is not UTF-8, and was not read")
            continue
        _read_text(one, text, num_classes, channels, said)
    return said


def _read(path: Path) -> str:
    """Read UTF-8, or UTF-16 with a byte order mark, as tools on Windows write it."""
    try:
        return read_text_bounded(path, _MOST_BYTES)
    except UnicodeDecodeError:
        content = path.read_bytes()
        if content[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise
        return content.decode("utf-16")


def _read_text(one: Beside, text: str, num_classes: int, channels: int, said: Said) -> None:
    try:
        content = _parse(one, text)
    except ValueError as error:
        if text.strip():
            said.notes.append(f"{one.shown} beside the weights is {error}, and was not read")
        return
    if one.place.holds == "classes":
        names = content if isinstance(content, tuple) else read_names(content, one.path.stem)
        _add_names(one, names, num_classes, said)
        stated = text if isinstance(content, tuple) else content
        if len(names) == num_classes and count_from_one(stated):
            said.notes.append(tell_shift(f"{one.shown} beside the weights", len(names)))
        return
    more = read_content(content, one.shown, num_classes, channels, said.crops)
    said.sayings += more.sayings
    said.notes += more.notes
    said.bgr = said.bgr or more.bgr


def _parse(one: Beside, text: str) -> Any:
    suffix = one.path.suffix.lower()
    if one.place.holds == "front matter":
        found = re.match(r"\A---\s*\n(.*?)\n---\s*$", text, re.DOTALL | re.MULTILINE)
        fields = parse_yaml(found[1]) if found else {}
        return {key: fields[key] for key in ("license",) if key in fields} if isinstance(
            fields, dict) else {}  # fmt: skip
    if suffix == ".json":
        return parse_json(text)
    if suffix in (".yaml", ".yml"):
        return parse_yaml(text)
    return parse_names(text, suffix)


def _add_names(one: Beside, names: tuple[str, ...], num_classes: int, said: Said) -> None:
    """Add names if there are as many as the classifier has outputs."""
    if not names or not num_classes:
        return
    if len(names) == num_classes:
        said.sayings.append(Saying("classes", names, one.shown))
        return
    shown = shorten(", ".join(names[:_SHOWN]), 80)
    said.notes.append(
        f"{one.shown} beside the weights has {len(names)} entries ({shown}), and the classifier "
        f"{num_classes} outputs; they are not used as class names"
    )

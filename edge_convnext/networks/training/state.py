"""The file a killed training run is resumed from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from edge_convnext.core.errors import TrainingError, reason_of
from edge_convnext.core.files import atomic_path
from edge_convnext.networks.zip_checksums import require_checksums

__all__ = ["EpochRow", "TrainState", "check_replaceable", "load_state", "save_state"]


@dataclass(frozen=True)
class EpochRow:
    """One epoch in the log."""

    epoch: int  # from 1
    loss: float  # mean over the epoch's training images
    lr: float  # of the last update
    top1_pct: float  # of the averaged weights on the validation images
    seconds: float


@dataclass(frozen=True)
class TrainState:
    """Everything that one epoch passes to the next."""

    fingerprint: str  # hash of configuration, seed and data: a run resumes only its own state
    rows: tuple[EpochRow, ...]  # one per finished epoch
    network: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    bfloat16: bool | None = None  # what was chosen; None: an older file


def save_state(state: TrainState, path: Path) -> None:
    """Write the state in one visible step.

    Raises:
        TrainingError: The disk is full, or the folder can't be written.
    """
    fields = {**vars(state), "rows": [asdict(row) for row in state.rows]}
    try:
        with atomic_path(path) as scratch:
            torch.save(fields, scratch)
    except (OSError, RuntimeError) as error:  # torch's own writer raises RuntimeError
        reason = reason_of(error)
        raise TrainingError(
            f"{path}: the training state can't be written ({reason}); check the disk and the "
            "folder, or choose another --out"
        ) from error


def check_replaceable(path: Path) -> None:
    """Refuse to overwrite a file that is not the state of a training: it is removed later.

    Raises:
        TrainingError: The file is something else; the message names it.
    """
    if not path.exists():
        return
    try:
        fields = torch.load(path, map_location="cpu", weights_only=True)
        ours = isinstance(fields, dict) and {"fingerprint", "rows", "average"} <= fields.keys()
    except Exception:  # torch.load raises errors of many types
        ours = False
    if not ours:
        raise TrainingError(
            f"{path}: would be overwritten by the state of this training, and no training wrote "
            "it; move it, or choose another --out"
        )


def load_state(path: Path, fingerprint: str) -> TrainState | None:
    """Read the state of an unfinished run; None if there is none.

    Raises:
        TrainingError: The file can't be read, is no training state of this version, or belongs to a
            run with other settings.
    """
    if not path.exists():
        return None
    try:
        require_checksums(path)
        fields = torch.load(path, map_location="cpu", weights_only=True)
        rows = tuple(EpochRow(**row) for row in fields.pop("rows"))
        state = TrainState(rows=rows, **fields)
    except Exception as error:  # torch.load raises errors of many types
        reason = reason_of(error).removeprefix(f"{path}: ")
        raise TrainingError(
            f"{path}: can't be read as a training state of this version ({reason}); "
            "move it away to start afresh"
        ) from error
    if state.fingerprint != fingerprint:
        raise TrainingError(
            f"{path}: can't resume, it belongs to a run with other settings or data; "
            "repeat that run's settings, or delete the file to start afresh"
        )
    return state

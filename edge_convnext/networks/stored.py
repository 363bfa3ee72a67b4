"""Tensors of a checkpoint of any origin: whole, stored as they claim, in float32."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.core.standins import StandIn

__all__ = ["check_stored", "to_float32"]


def check_stored(values: Iterable[object], source: str) -> None:
    """Refuse tensors that repeat a few stored values by strides, or share them with each other.

    A copy would store every value: a file of a kilobyte could become a terabyte in memory.
    """
    stored: dict[int, int] = {}
    claimed = 0
    for value in values:
        if isinstance(value, Tensor) and _is_stored(value):
            storage = value.untyped_storage()
            stored[storage.data_ptr()] = storage.nbytes()
            claimed += value.numel() * value.element_size()
    if claimed > sum(stored.values()):
        raise LoadError(
            f"{source}: its tensors have {claimed} bytes, of which {sum(stored.values())} are "
            "stored; save the state dict with every tensor cloned"
        )


def _is_stored(value: Tensor) -> bool:
    return value.layout == torch.strided and value.device.type == "cpu"


def to_float32(value: object, shape: tuple[int, ...], what: str) -> Tensor:
    """Check one tensor and return it in `shape`; axes of length 1 may differ ([1, 4C] or [4C])."""
    if isinstance(value, StandIn):
        raise LoadError(f"{what} is a {shorten(value.path)}, not a plain tensor; save it as one")
    if not isinstance(value, Tensor):
        raise LoadError(f"{what} is a {type(value).__name__}, not a tensor")
    if not value.is_floating_point() or not _is_stored(value):
        kind = f"{value.dtype}, {value.layout}, on {value.device}"
        raise LoadError(f"{what} is {kind}; weights are dense floats")
    if [n for n in value.shape if n != 1] != [n for n in shape if n != 1]:
        raise LoadError(f"{what} has shape {list(value.shape)}, not {list(shape)}")
    tensor = value.detach().float().reshape(shape).contiguous()
    bad = int(tensor.numel() - torch.isfinite(tensor).sum())
    if bad:
        raise LoadError(
            f"{what} holds NaN or infinity in {bad} of {tensor.numel()} values; "
            "the training diverged or the file is damaged"
        )
    return tensor

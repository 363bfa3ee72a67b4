"""Infer an architecture from the tensors of a checkpoint, and check them one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.core.standins import StandIn
from edge_convnext.networks.convnext.modules import ConvNeXt
from edge_convnext.networks.convnext.sizes import Architecture, name_architecture

__all__ = ["check_stored", "expected_shapes", "infer_architecture", "shape_of", "to_float32"]


def shape_of(value: object) -> tuple[int, ...]:
    """Return a tensor's shape; () for anything else."""
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def infer_architecture(shapes: Mapping[str, tuple[int, ...]], source: str) -> Architecture:
    """Read version, depths and widths off the backbone's shapes; the head is not considered."""
    pattern = re.compile(r"stages\.(\d)\.blocks\.(\d{1,9})\.(grn|layer_scale|dwconv)\.")
    found = [match for name in shapes if (match := pattern.match(name))]
    kinds = {match[3] for match in found} - {"dwconv"}
    if len(kinds) != 1:
        either, other = ("both", "and") if kinds else ("neither", "nor")
        raise LoadError(
            f"{source}: {either} GRN (ConvNeXt V2) {other} LayerScale (V1) in these weights, "
            "so this is no ConvNeXt that this project knows"
        )
    version = 2 if kinds == {"grn"} else 1
    depths = [1 + max((int(m[2]) for m in found if int(m[1]) == i), default=-1) for i in range(4)]
    if sum(depths) > len(shapes):  # a bad block number must not create a billion blocks
        raise LoadError(
            f"{source}: {sum(depths)} blocks by the largest number, but {len(shapes)} tensors; "
            "the checkpoint is incomplete, save it again"
        )
    entries = ["stem.conv.weight", *(f"stages.{i}.downsample.conv.weight" for i in (1, 2, 3))]
    for name in entries:
        if 0 in shapes.get(name, ()):
            raise LoadError(
                f"{source}: '{name}' is empty, {list(shapes[name])}; the checkpoint is damaged, or "
                "one of several parts (of ZeRO stage 3, zero_to_fp32.py joins them); save it again"
            )
        if len(shapes.get(name, ())) < 2:
            raise LoadError(
                f"{source}: '{name}' is missing; the checkpoint is incomplete, save it again"
            )
    widths = [shapes[name][0] for name in entries]
    depths4 = (depths[0], depths[1], depths[2], depths[3])
    widths4 = (widths[0], widths[1], widths[2], widths[3])
    return Architecture(
        name=name_architecture(version, depths4, widths4),
        version=version,
        depths=depths4,
        widths=widths4,
        num_classes=1,
        in_channels=shapes["stem.conv.weight"][1],
    )


def expected_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shape of each of our names; a missing classifier counts as one class."""
    with torch.device("meta"):
        network = ConvNeXt(replace(architecture, num_classes=max(architecture.num_classes, 1)))
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


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

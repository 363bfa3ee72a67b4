"""From the shapes in a checkpoint to an architecture, and back to the shapes that it has."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.convnext.modules import ConvNeXt
from edge_convnext.networks.convnext.sizes import Architecture, name_architecture

__all__ = ["expected_shapes", "infer_architecture"]


def infer_architecture(
    shapes: Mapping[str, tuple[int, ...]], source: str, shown: Callable[[str], str] = str
) -> Architecture:
    """Read version, depths and widths off the backbone's shapes; the head is not considered.

    Args:
        shapes: Shapes by our names.
        source: The checkpoint's name for messages.
        shown: Gives the file's name for one of ours, for messages.

    Raises:
        LoadError: These are no ConvNeXt's, or some are missing.
    """
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
                f"{source}: '{shown(name)}' is empty, {list(shapes[name])}; the checkpoint is "
                "damaged, or one of several parts (of ZeRO stage 3, zero_to_fp32.py joins them); "
                "save it again"
            )
        if len(shapes.get(name, ())) < 2:
            raise LoadError(
                f"{source}: '{shown(name)}' is missing; the checkpoint is incomplete, save it again"
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

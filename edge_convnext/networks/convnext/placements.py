"""Placements: which operations of a ConvNeXt get quantized inputs, by policy name.

Nodes are named `<module path>/<OpType>`, so a policy is a set of modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_convnext.core.artifacts import PlacementName

__all__ = ["quantized_nodes"]

_BLOCKS = frozenset({"pwconv1", "pwconv2"})
_INNER = _BLOCKS | {"downsample.conv"}
_DENSE = _INNER | {"stem.conv", "head.fc"}
_DEPTHWISE = frozenset({"dwconv"})

# Depthwise and elementwise operations are slower in INT8 than in float on every runtime that
# was tried, and cost accuracy (benchmarks/README.md).
_MODULES: Mapping[PlacementName, frozenset[str]] = {
    "inner": _INNER,
    "pointwise": _DENSE,
    "weighted": _DENSE | _DEPTHWISE,
    "blocks": _BLOCKS,
    "late_blocks": _BLOCKS,
    "last_blocks": _BLOCKS,
}
_FLOAT_STAGES: Mapping[PlacementName, tuple[str, ...]] = {
    "late_blocks": ("stages.0.", "stages.1."),
    "last_blocks": ("stages.0.", "stages.1.", "stages.2."),
}


def quantized_nodes(weighted: Iterable[str], placement: PlacementName) -> frozenset[str] | None:
    """List the nodes that a placement quantizes.

    - `pointwise`: every convolution and linear except the depthwise ones.
    - `inner`: `pointwise` without the first and the last. The 256 values of the images don't lie
      on a quantizer's grid, and no layer after the logits evens out an error.
    - `weighted`: `pointwise` and the depthwise ones.
    - `all`: no restriction; NNCF chooses.
    - `blocks`: those of `pointwise` inside blocks.
    - `late_blocks`: those of `blocks` in the last two stages, where weights outweigh the maps.
    - `last_blocks`: those of `blocks` in the last stage, where they outweigh them most.

    Args:
        weighted: Names of the convolutions and matrix products.
        placement: The policy.

    Returns:
        Names of the nodes that may be quantized; None for `all`.
    """
    if placement == "all":
        return None
    modules, floats = _MODULES[placement], _FLOAT_STAGES.get(placement, ())
    return frozenset(
        name
        for name in weighted
        if not modules.isdisjoint(_tails(name)) and not name.startswith(floats)
    )


def _tails(name: str) -> tuple[str, str]:
    """Return the last part and the last two parts of a node's module path."""
    parts = name.rpartition("/")[0].split(".")
    return parts[-1], ".".join(parts[-2:])

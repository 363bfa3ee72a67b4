"""Quantization by roles under this package's options, for families that NNCF does not place."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from edge_convnext.core.errors import QuantizationError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    from edge_convnext.core.artifacts import ActivationType, PlacementName
    from edge_convnext.core.product_groups import Regrouping
    from edge_convnext.core.sections import QuantizeConfig
    from edge_convnext.graph.pair_writer import Weighing
    from edge_convnext.graph.roles import Roles

__all__ = ["PLACER_FACT", "place_by_roles", "placing_key", "rounds_anew"]

PLACER_FACT = "placer"  # of a graph's metadata; `roles` where this module made it
_REVISION = "2"  # of the pairs that are placed
_NARROW = 63  # largest weight: the sum of two products fits in 16 bits


def place_by_roles(
    before: ModelProto,
    images: Sequence[NDArray[np.float32]],
    placement: PlacementName,
    config: QuantizeConfig,
    activation_type: ActivationType,
    ignored: Collection[str],
    path: Path,
    groups: Regrouping | None = None,
) -> tuple[ModelProto, frozenset[str]]:
    """Place Q/DQ by roles.

    Args:
        before: FP32 graph; left as it is.
        images: Calibration batches, float32[n, C, H, W].
        placement: A name of `graph.placements`.
        config: PTQ settings; those of NNCF alone are refused.
        activation_type: Type of the activations.
        ignored: Names of nodes that stay float.
        path: Path to name in messages.
        groups: Groups of products that a plan changed.

    Returns:
        The graph, and the names of the products that it was to quantize.

    Raises:
        QuantizationError: No product is of the placement, or of a group, or an option is NNCF's
            alone.
        RecipeError: There is no such placement.
    """
    from edge_convnext.graph.file import set_facts
    from edge_convnext.graph.placements import find_placement, regroup
    from edge_convnext.graph.placer import place, placeable
    from edge_convnext.graph.roles import describe
    from edge_convnext.graph.weight_rounding import round_by_reconstruction

    found, roles = find_placement(placement), describe(before)
    if groups:
        found = regroup(found, groups, roles)
    wanted = placeable(before, roles, found) - frozenset(ignored)
    if not wanted:
        raise QuantizationError(
            f"{path}: no product belongs to the placement '{placement}'; choose another one"
        )
    weighing = _weighing(config, roles)
    after = place(before, roles, found, activation_type, images, ignored, weighing)
    if rounds_anew(config):
        round_by_reconstruction(after, before, images)
    set_facts(after, precision="int8", placement=placement, **{PLACER_FACT: "roles"})
    if groups:
        changed = {name: list(names) for name, names in asdict(groups).items() if names}
        set_facts(after, **changed)
    return after, wanted


def rounds_anew(config: QuantizeConfig, *, by_roles: bool = True) -> bool:
    """Whether weights are rounded by what their products compute (`graph.weight_rounding`)."""
    if config.weight_rounding == "auto":
        return by_roles and config.own_ranges
    return config.weight_rounding == "reconstruction"


def placing_key(config: QuantizeConfig, *, by_roles: bool) -> dict[str, str]:
    """The part of a cache key that is of this module; other placers have none of it."""
    placed = {"placer": _REVISION} if by_roles else {}
    rounded = {"weight_rounding": "3"} if rounds_anew(config, by_roles=by_roles) else {}
    return placed | rounded


def _weighing(config: QuantizeConfig, roles: Roles) -> Weighing:
    from edge_convnext.graph.pair_writer import Weighing

    estimator = config.activations_range_estimator
    if not config.own_ranges and estimator != "minmax":
        raise QuantizationError(
            f"activations_range_estimator {estimator} is NNCF's, which has no part in this "
            "network; use reconstruction or minmax"
        )
    if not config.disable_bias_correction:
        raise QuantizationError(
            "bias correction is NNCF's, which has no part in this network; leave "
            "quantize.disable_bias_correction as it is"
        )
    narrow = {"disable": 0, "first_layer_only": 1, "enable": len(roles.products)}
    return Weighing(
        clip=config.own_ranges,
        per_tensor=config.weight_granularity == "per_tensor",
        largest={one.name: _NARROW for one in roles.products[: narrow[config.overflow_fix]]},
    )

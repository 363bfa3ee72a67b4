"""Rules of a runtime: which ways to quantize a network are worth a race there, by its structure.

Each runtime states its ways and what bars some of them, in `plan_rules.py` of its folder, each bar
with what was measured. Nothing goes by the name of a network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from edge_convnext.graph.placements import count_start, find_placement

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import (
        ActivationType,
        FormName,
        GraphFormat,
        PlacementName,
    )
    from edge_convnext.graph.roles import Roles

__all__ = [
    "COMMON", "PORTABLE", "Bar", "PlanRules", "Way", "default_plans", "is_convolutional",
    "keep_sums_float", "list_barred", "multiplies_gates",
]  # fmt: skip

_LARGE_SHARE = 0.5  # of the multiply-accumulates


@dataclass(frozen=True)
class Way:
    """One way to quantize a network for a runtime."""

    placement: PlacementName
    activation_type: ActivationType = "int8"
    format: GraphFormat = "qdq"
    form: FormName | None = None  # None: the one that runs everywhere


Judge: TypeAlias = Callable[["Roles", Way], bool]


@dataclass(frozen=True)
class Bar:
    """Ways that are not raced on some networks."""

    bars: Judge
    why: str
    source: str  # what was measured, and where


@dataclass(frozen=True)
class PlanRules:
    """The ways of one runtime, those that win most often first, and what bars some of them."""

    ways: tuple[Way, ...]
    bars: tuple[Bar, ...] = ()


def is_convolutional(roles: Roles) -> bool:
    """Whether convolutions do more of the work than matrix products."""
    return roles.share("conv", "pointwise", "depthwise", "grouped") >= _LARGE_SHARE


def multiplies_gates(roles: Roles) -> bool:
    """Whether there is SiLU as it is exported, or squeeze and excitation."""
    silu = roles.has("Sigmoid") and roles.has("Mul")
    return silu or any(one.gate for one in roles.products)


def _needs_attention(roles: Roles, way: Way) -> bool:
    return way.placement == "attention" and not any(
        one.kind == "attention" for one in roles.products
    )


def _needs_windows(roles: Roles, way: Way) -> bool:
    windows = any(one.kind in ("depthwise", "grouped") for one in roles.products)
    return way.placement == "dense" and not windows


def _needs_gates(roles: Roles, way: Way) -> bool:
    return way.placement == "closed_gates" and not multiplies_gates(roles)


def _needs_sums(roles: Roles, way: Way) -> bool:
    sums = any(one.behind == "add" for one in roles.products)
    return way.placement == "adds" and not sums


def _needs_a_light_start(roles: Roles, way: Way) -> bool:
    share = find_placement(way.placement).float_start
    return share > 0.0 and count_start(roles, share) == 0


# What a placement has nothing for makes the graph of another one.
COMMON = (
    Bar(_needs_attention, "no product of attention", "the same graph as `weighted`"),
    Bar(_needs_windows, "no depthwise or grouped convolution", "the same graph as `weighted`"),
    Bar(_needs_gates, "neither SiLU nor a gate", "the same graph as `closed`"),
    Bar(_needs_a_light_start, "the first product does much of the work", "none would stay float"),
    Bar(_needs_sums, "no sum behind a product", "the same graph without the additions"),
)


def keep_sums_float(*placements: PlacementName, measured: str) -> Bar:
    """A bar of placements that quantize sums, for networks of mostly matrix products.

    Args:
        placements: Placements that it bars.
        measured: Versions and machine of the figures.
    """
    return Bar(
        lambda roles, way: not is_convolutional(roles) and way.placement in placements,
        "residual sums that norms read stay float in transformers",
        f"{measured}: DeiT and ViT with INT8 sums 12 to 17 dB, without 29 to 31",
    )


# Of a runtime that nothing was measured in.
PORTABLE = PlanRules(
    (
        Way("dense"),
        Way("weighted"),
        Way("inner"),
        Way("weighted", "uint8"),
        Way("adds"),
        Way("closed", "uint8"),
    ),
    COMMON,
)


def default_plans(roles: Roles, rules: PlanRules) -> tuple[Way, ...]:
    """The ways that are raced where no plan was measured for a network."""
    barred = dict(list_barred(roles, rules))
    return tuple(way for way in rules.ways if way not in barred)


def list_barred(roles: Roles, rules: PlanRules) -> tuple[tuple[Way, Bar], ...]:
    """The ways that are not, each with the first rule that bars it."""
    found = []
    for way in rules.ways:
        bar = next((bar for bar in rules.bars if bar.bars(roles, way)), None)
        if bar is not None:
            found.append((way, bar))
    return tuple(found)

"""Ways to quantize a network for OpenVINO on the CPU, and what was measured of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.runtimes.plan_rules import (
    COMMON,
    Bar,
    PlanRules,
    Way,
    is_convolutional,
    keep_sums_float,
)

if TYPE_CHECKING:
    from edge_convnext.graph.roles import Roles

__all__ = ["PLAN_RULES"]

_LAB = "openvino 2026.4.1, one thread, x86 with VNNI and BF16"


def _signs_a_concat(roles: Roles, way: Way) -> bool:
    concatenates = any(one.behind == "concat" for one in roles.products)
    return concatenates and is_convolutional(roles) and way.activation_type == "int8"


def _signs_rectified_maps(roles: Roles, way: Way) -> bool:
    rectified = [one for one in roles.products if one.behind == "relu"]
    mostly = 2 * len(rectified) > len(roles.products)
    return mostly and way.activation_type == "int8" and way.placement != "weighted"


# The form `linear`, 1x1 convolutions as matrix products, was not faster for any of five networks:
# float 0.73 to 1.01 times as fast, INT8 0.67 to 0.84 (benchmarks/results/2026-11-30-pointwise.md).
PLAN_RULES = PlanRules(
    (
        Way("weighted", "mixed"),
        Way("dense", "mixed"),
        Way("adds", "mixed"),
        Way("weighted"),
        Way("dense"),
        Way("weighted", "uint8"),
        Way("weighted_later", "uint8"),
        Way("closed", "uint8"),
        Way("closed_later", "uint8"),
        Way("dense", "uint8"),
        Way("inner", "mixed"),
        Way("attention", "mixed"),
        Way("attention"),
    ),
    (
        Bar(
            _signs_a_concat,
            "a signed quantizer behind a Concat, which OpenVINO computes wrongly, is made "
            "unsigned: that leaves little between it and `mixed`",
            f"{_LAB}: 6 to 13 dB signed, 64 to 140 unsigned; MobileViT-xxs 81.9 % for 95.2 % "
            "(`graph.remedies`)",
        ),
        keep_sums_float("adds", "closed", "closed_later", measured=_LAB),
        Bar(
            _signs_rectified_maps,
            "unsigned steps are half as wide behind a ReLU, and equally fast",
            f"{_LAB}: SqueezeNet 21.7 dB signed, 36.8 unsigned",
        ),
        *COMMON,
    ),
)

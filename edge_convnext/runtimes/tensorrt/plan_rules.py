"""Ways to quantize a network for TensorRT, and what was counted in its engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.runtimes.plan_rules import COMMON, Bar, PlanRules, Way, is_convolutional

if TYPE_CHECKING:
    from edge_convnext.graph.roles import Roles

__all__ = ["PLAN_RULES"]

_LAB = "engines of tensorrt_rtx 1.7.1 for SM86, batch 1, FP16 body"


def _pads_depthwise(roles: Roles, way: Way) -> bool:
    depthwise = any(one.kind == "depthwise" for one in roles.products)
    return depthwise and way.placement in ("weighted", "attention") and is_convolutional(roles)


# Signed with zero point 0: TensorRT's quantized type is int8.
PLAN_RULES = PlanRules(
    (
        Way("fused"),
        Way("fused_adds"),
        Way("dense"),
        Way("weighted"),
        Way("inner"),
        Way("attention"),
    ),
    (
        Bar(
            _pads_depthwise,
            "INT8 pads depthwise convolutions fourfold",
            f"{_LAB}: MobileNetV2 `weighted` 107 kernels and 91.0 MB, `fused` 90 and 33.9",
        ),
        *COMMON,
    ),
)

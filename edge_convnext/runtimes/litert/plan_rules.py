"""Ways to quantize a network for LiteRT on the CPU.

Its ranges are those of each inference, so that a placement says only which weights are INT8.
XNNPACK has no depthwise convolution with such ranges: there the weights stay float.
"""

from __future__ import annotations

from edge_convnext.runtimes.plan_rules import PlanRules, Way

__all__ = ["PLAN_RULES"]

PLAN_RULES = PlanRules((Way("dense", "int8", "litert"), Way("inner", "int8", "litert")))

"""Ways to quantize a network for ONNX Runtime on the CPU, and what was measured of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.runtimes.plan_rules import COMMON, Bar, PlanRules, Way, is_convolutional

if TYPE_CHECKING:
    from edge_convnext.graph.roles import Roles

__all__ = ["PLAN_RULES"]

_LAB = "optimized graphs of onnxruntime 1.32.0, one thread, x86 with VNNI"


def _is_signed_convolution(roles: Roles, way: Way) -> bool:
    return is_convolutional(roles) and way.activation_type != "uint8"


def _is_fused_convolution(roles: Roles, way: Way) -> bool:
    return is_convolutional(roles) and way.format != "qdq"


def _closes_a_transformer(roles: Roles, way: Way) -> bool:
    return not is_convolutional(roles) and way.placement in ("adds", "closed_gates", "closed_later")


# A convolution is INT8 where its output has a quantizer as well: the 512 to 1000 one of SqueezeNet
# alone in float costs 5.1 ms for 3.0. So `closed` comes first; with HardSwish, which has no INT8
# kernel, or where most of the time is elsewhere, others may win.
PLAN_RULES = PlanRules(
    (
        Way("closed", "uint8"),
        Way("closed_later", "uint8"),
        Way("closed_gates", "uint8"),
        Way("weighted", "uint8"),
        Way("dense", "uint8"),
        Way("adds", "uint8"),
        Way("inner", "uint8"),
        Way("attention", "uint8"),
        Way("weighted"),
        Way("inner"),
        Way("attention"),
        Way("weighted", "int8", "onnxruntime"),
        Way("inner", "int8", "onnxruntime"),
    ),
    (
        Bar(
            _is_signed_convolution,
            "ONNX Runtime has INT8 convolutions of unsigned activations alone",
            f"{_LAB}: SqueezeNet `closed` int8 has 0 QLinearConv of 26, uint8 26 of 26",
        ),
        Bar(
            _is_fused_convolution,
            "the fused products are matrix products",
            "MatMulIntegerToFloat and DynamicQuantizeMatMul of onnxruntime's contrib operators",
        ),
        Bar(
            _closes_a_transformer,
            "residual sums that norms read stay float in transformers",
            f"{_LAB}: DeiT and ViT with INT8 sums 12 to 17 dB, without 29 to 31",
        ),
        *COMMON,
    ),
)

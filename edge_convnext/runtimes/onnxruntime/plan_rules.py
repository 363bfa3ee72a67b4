"""Ways to quantize a network for ONNX Runtime on the CPU, and what was measured of them."""

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

_MOSTLY = 0.8  # of the multiply-accumulates
_CHEAP = ("Clip", "Gelu", "HardSwish", "Relu")  # activations that leave little beside the products
_LAB = "optimized graphs of onnxruntime 1.32.0, one thread, x86 with VNNI"


def _is_signed_convolution(roles: Roles, way: Way) -> bool:
    return way.form is None and is_convolutional(roles) and way.activation_type != "uint8"


def _is_fused_convolution(roles: Roles, way: Way) -> bool:
    return way.form is None and is_convolutional(roles) and way.format != "qdq"


def _is_better_convolved(roles: Roles, way: Way) -> bool:
    """Whether 1x1 convolutions as matrix products are slower than INT8 convolutions."""
    if way.form != "linear":
        return False
    gates = sum(one.gate for one in roles.products) // 2  # of two products and a Sigmoid each
    silus = roles.operations.get("Sigmoid", 0) > gates and not roles.has(*_CHEAP)
    inverted = roles.share("pointwise") >= _MOSTLY and roles.share("depthwise") > 0
    return not (inverted and silus)


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
        Way("dense", "int8", "onnxruntime", "linear"),
        Way("inner", "int8", "onnxruntime", "linear"),
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
            _is_better_convolved,
            "matrix products are slower than 1x1 convolutions, but for inverted residuals of SiLU",
            f"{_LAB}: fused products in EfficientNet-B0 and -B1 1.12 times as fast as "
            "`closed_gates`, in TinyNet-A 1.07; with other activations or larger convolutions 0.59 "
            "to 1.00, and in MobileNetV3-S 1.05, where float is faster than any INT8 "
            "(benchmarks/results/2026-11-30-pointwise.md)",
        ),
        keep_sums_float("adds", "closed_gates", "closed_later", measured=_LAB),
        *COMMON,
    ),
)

"""What each runtime is given when a recipe says `auto`: measured choices, as data.

On one AVX-512 VNNI server CPU (2 threads, atto, 224 px, batch 1, interleaved, NNCF 3.4;
benchmarks/README.md):

- OpenVINO runs 1x1 convolutions in NCHW fastest, in float and in INT8.
- ONNX Runtime runs INT8 MatMul faster than INT8 1x1 convolutions, by about 1.4 times.
- TensorRT for RTX needs 112 kernels for the MatMul form and 144 for the 1x1 Conv form.
- Depthwise and elementwise operations are slower in INT8 than in float on all three.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_convnext.artifacts import FormName, PlacementName, RuntimeName

__all__ = ["ENGINE_PLAN", "FLOAT_FORMS", "RUNTIME_PLANS", "Plan"]


@dataclass(frozen=True)
class Plan:
    """The graph form and the Q/DQ placement known to be best."""

    form: FormName
    placement: PlacementName


RUNTIME_PLANS: dict[RuntimeName, Plan] = {
    "onnxruntime": Plan("linear", "pointwise"),
    "openvino": Plan("conv", "pointwise"),
}

ENGINE_PLAN = Plan("linear", "pointwise")

# Every float form is raced: a verdict compares with the best float, not with a handy one.
FLOAT_FORMS: tuple[FormName, ...] = ("raw", "linear", "conv")

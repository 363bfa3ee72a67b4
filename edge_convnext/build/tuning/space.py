"""What `tune` tries, as data: every plan of a runtime or a GPU, and why others are left out.

Forms, placements, activation types and formats depend on each other and are crossed. The rest
is tried on what wins that race, one change at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, get_args

from edge_convnext.core.artifacts import (
    ActivationType,
    CpuFormName,
    CpuPlacementName,
    CpuRuntimeName,
    FormName,
    GpuFormName,
    GraphFormat,
    RangeEstimator,
)
from edge_convnext.networks.convnext.gpu_forms import ONE_IMAGE_FORMS
from edge_convnext.networks.plans import Plan, float_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.core.artifacts import PlacementName

__all__ = [
    "ESTIMATORS",
    "GPU_PLACEMENTS",
    "REVISION",
    "Excluded",
    "gpu_plan",
    "list_gpu_forms",
    "list_plans",
    "list_refinements",
]

REVISION = 2  # of the space; raise it when a decision under the old one no longer stands

_FORMS: tuple[CpuFormName, ...] = get_args(CpuFormName)
_PLACEMENTS: tuple[PlacementName, ...] = get_args(CpuPlacementName)
# What was never far behind, wherever it was tried (benchmarks/README.md).
_QUICK_FORMS: Mapping[CpuRuntimeName, tuple[CpuFormName, ...]] = {
    "onnxruntime": ("linear", "nhwc"),
    "openvino": ("conv", "conv_moments"),
}
_QUICK_PLACEMENTS: tuple[PlacementName, ...] = ("inner", "pointwise")
_QUICK_FORMATS: tuple[GraphFormat, ...] = ("qdq", "onnxruntime")
# They don't change latency; the others of NNCF's lie between the last two.
ESTIMATORS: tuple[RangeEstimator, ...] = ("reconstruction", "minmax", "mean_quantile")
_SETTINGS: Mapping[CpuRuntimeName, tuple[tuple[str, str], ...]] = {
    "onnxruntime": (
        ("batch", "dynamic"),
        ("session.dynamic_block_base", "4"),
        ("session.intra_op.allow_spinning", "0"),
        ("session.set_denormal_as_zero", "1"),
        ("session.x64quantprecision", "1"),
    ),
    "openvino": (
        ("batch", "dynamic"),
        ("CPU_DENORMALS_OPTIMIZATION", "YES"),
        ("ENABLE_CPU_PINNING", "NO"),
        ("PERFORMANCE_HINT", "THROUGHPUT"),
    ),
}
# `pointwise` has kernels more and no bytes less (benchmarks/results/2026-11-25-rtx-plans.md).
GPU_PLACEMENTS: tuple[PlacementName, ...] = ("blocks", "late_blocks", "last_blocks")


@dataclass(frozen=True)
class Excluded:
    """A plan that is not tried."""

    plan: Plan
    reason: str


def list_plans(
    runtime: CpuRuntimeName, opset: int, around: Plan | None = None
) -> tuple[list[Plan], list[Excluded]]:
    """Every plan worth racing in a runtime, and those left out by rule.

    Args:
        runtime: Where it would run.
        opset: Of the graphs.
        around: The plan in force, for a quick search: it, and what was never far behind. None
            for all there are.
    """
    kinds: Sequence[ActivationType] = get_args(ActivationType)
    formats: Sequence[GraphFormat] = get_args(GraphFormat)
    plans, excluded = [], []
    for form, placement, kind, lowered in product(_FORMS, _PLACEMENTS, kinds, formats):
        plan = Plan(form, placement, kind, lowered)
        if around is not None and not _is_near(plan, around, runtime):
            continue
        reason = _why_not(plan, runtime, opset)
        if reason is None:
            plans.append(plan)
        else:
            excluded.append(Excluded(plan, reason))
    if around is not None and around.form in _FORMS and around not in plans:
        plans.append(around)  # with its settings, GELU or ranges
    return plans, excluded


def _is_near(plan: Plan, usual: Plan, runtime: CpuRuntimeName) -> bool:
    return (
        plan.form in (usual.form, *_QUICK_FORMS[runtime])
        and plan.placement in (usual.placement, *_QUICK_PLACEMENTS)
        and plan.format in (usual.format, *_QUICK_FORMATS)
        # Signed and unsigned are equally fast, and the usual one is the more accurate.
        and plan.activation_type == usual.activation_type
    )


def list_refinements(plan: Plan, runtime: CpuRuntimeName, opset: int) -> list[Plan]:
    """The plan with one thing changed that was not crossed with the others."""
    changed = [replace(plan, settings=(one,)) for one in _SETTINGS[runtime]]
    # Before opset 20 there is no operation to approximate.
    return [replace(plan, gelu="tanh"), *changed] if opset >= 20 else changed


def list_gpu_forms(batch: int) -> tuple[FormName, ...]:
    """Forms that have a graph for that many images, in the order they are tried."""
    forms: tuple[FormName, ...] = ("linear", *get_args(GpuFormName))
    return tuple(form for form in forms if batch == 1 or form not in ONE_IMAGE_FORMS)


def gpu_plan(form: FormName, placement: PlacementName | None, batch: int) -> Plan:
    """One way to write and quantize the graph for a GPU, with a float16 body."""
    if placement is None:
        return float_plan(form, "fp16", batch, "typed")
    return Plan(form, placement, batch=batch, family="typed")


def _why_not(plan: Plan, runtime: CpuRuntimeName, opset: int) -> str | None:
    if plan.format != "qdq":
        if runtime != "onnxruntime":
            return "only ONNX Runtime loads its fused products"
        if plan.form.startswith("conv"):
            return "a form of convolutions has no products to fuse"
        if plan.activation_type == "uint8":
            return "the fused products make activations unsigned themselves: the same graph as int8"
    if plan.placement == "all":
        if plan.activation_type == "uint8":
            return "where NNCF quantizes everything, ranges are its own, which are signed"
        if runtime == "onnxruntime" and opset >= 21:
            return "ONNX Runtime can't load a Transpose of a dequantized value from opset 21 on"
    return None

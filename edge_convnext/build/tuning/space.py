"""The search space of `tune`: every plan of a runtime or a GPU, and why others are left out.

Forms, placements, activation types and formats depend on each other, so all combinations are
tried. The rest is tried on the winner of that race, one change at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, get_args

from edge_convnext.core.artifacts import (
    ActivationType,
    CpuRuntimeName,
    FormName,
    GraphFormat,
    RangeEstimator,
)
from edge_convnext.networks.plans import Plan, float_plan
from edge_convnext.runtimes.load import find_runtime
from edge_convnext.runtimes.plan_rules import Way

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_convnext.core.artifacts import PlacementName
    from edge_convnext.networks.protocol import NetworkFamily

__all__ = [
    "ESTIMATORS",
    "REVISION",
    "Excluded",
    "gpu_plan",
    "list_gpu_forms",
    "list_plans",
    "list_refinements",
]

REVISION = 2  # revision of the space; raise it when results of the old one no longer hold

# Why a runtime gets no graph of a format that it does not load.
_ELSEWHERE: Mapping[GraphFormat, str] = {
    "qdq": "only its own format is loaded there, and no ONNX graph",
    "onnxruntime": "only ONNX Runtime loads its fused products",
    "onnxruntime_dynamic": "only ONNX Runtime loads its fused products",
    "litert": "only LiteRT loads its models",
}
_QUICK_FORMATS: tuple[GraphFormat, ...] = ("qdq", "onnxruntime")
# Range estimators don't change latency; NNCF's others lie between the last two.
ESTIMATORS: tuple[RangeEstimator, ...] = ("reconstruction", "minmax", "mean_quantile")


@dataclass(frozen=True)
class Excluded:
    """A plan that is not tried."""

    plan: Plan
    reason: str


def list_plans(
    family: NetworkFamily, runtime: CpuRuntimeName, opset: int, around: Plan | None = None
) -> tuple[list[Plan], list[Excluded]]:
    """List the plans worth racing in a runtime, and those that are left out by rule.

    Args:
        family: Family of the network.
        runtime: Runtime of the graphs.
        opset: ONNX opset of the graphs.
        around: The plan in force, for a quick search of that plan and those that are seldom
            much slower. None lists all plans.
    """
    kinds: Sequence[ActivationType] = get_args(ActivationType)
    if family.placer == "nncf":  # it has no types by tensor
        kinds = [kind for kind in kinds if kind != "mixed"]
    formats: Sequence[GraphFormat] = get_args(GraphFormat)
    plans, excluded = [], []
    forms = _list_forms(family, runtime, around)
    ways = product(forms, family.placements, kinds, formats)
    for form, placement, kind, lowered in ways:
        plan = Plan(form, placement, kind, lowered)
        if around is not None and not _is_near(plan, around, runtime, family):
            continue
        reason = _why_not(plan, runtime, opset, family)
        if reason is None:
            plans.append(plan)
        else:
            excluded.append(Excluded(plan, reason))
    if around is not None and around.form in forms and around not in plans:
        plans.append(around)  # with its settings, GELU or ranges
    return plans, excluded


def _list_forms(
    family: NetworkFamily, runtime: CpuRuntimeName, around: Plan | None
) -> tuple[FormName, ...]:
    """Forms that a search tries; of networks by role the one in force, and those of the rules."""
    if family.placer == "nncf":
        return family.forms or ("raw",)
    ruled = [way.form for way in find_runtime(runtime).PLAN_RULES.ways if way.form]
    usual = family.portable[0] if around is None else around.form
    return tuple(dict.fromkeys([usual, *ruled]))


def _is_near(plan: Plan, usual: Plan, runtime: CpuRuntimeName, family: NetworkFamily) -> bool:
    if family.placer == "roles":  # no plan of it was measured: try what suits the runtime
        way = Way(plan.placement or "", plan.activation_type, plan.format)
        ways = find_runtime(runtime).PLAN_RULES.ways
        return replace(way, form=plan.form) in ways or (plan.form == usual.form and way in ways)
    return (
        plan.form in (usual.form, *family.quick_forms(runtime))
        and plan.placement in (usual.placement, *family.quick_placements)
        and plan.format in (usual.format, *_QUICK_FORMATS)
        # Signed and unsigned activations are equally fast, and the usual type is more accurate.
        and plan.activation_type == usual.activation_type
    )


def list_refinements(plan: Plan, runtime: CpuRuntimeName, opset: int) -> list[Plan]:
    """Variants of a plan: each changes one setting that is not combined with the others."""
    changed = [replace(plan, settings=(one,)) for one in find_runtime(runtime).SETTINGS]
    # Before opset 20, ONNX has no GELU operator to approximate.
    return [replace(plan, gelu="tanh"), *changed] if opset >= 20 else changed


def list_gpu_forms(batch: int, family: NetworkFamily) -> tuple[FormName, ...]:
    """Forms that have a graph of this batch size, in the order they are tried."""
    forms = (family.portable[0], *family.gpu_forms)
    return tuple(form for form in forms if batch == 1 or form not in family.one_image_forms)


def gpu_plan(form: FormName, placement: PlacementName | None, batch: int) -> Plan:
    """One way to write and quantize the graph for a GPU, with a float16 body."""
    if placement is None:
        return float_plan(form, "fp16", batch, "typed")
    return Plan(form, placement, batch=batch, family="typed")


def _why_not(plan: Plan, runtime: CpuRuntimeName, opset: int, family: NetworkFamily) -> str | None:
    module = find_runtime(runtime)
    if plan.format not in module.FORMATS:
        return _ELSEWHERE[plan.format]
    if plan.format == "litert":
        if plan.activation_type == "uint8":
            return "LiteRT takes its ranges from each inference: the same model as int8"
    elif plan.format != "qdq":
        # Of a family by roles `raw` may have products of matrices too: the graph itself tells.
        if family.placer == "nncf" and plan.form in family.forms_of_convolutions:
            return "a form of convolutions has no products to fuse"
        if plan.activation_type == "uint8":
            return "the fused products make activations unsigned themselves: the same graph as int8"
    if plan.placement == "all" and plan.activation_type == "uint8":
        return "where NNCF quantizes everything, ranges are its own, which are signed"
    return module.why_not(plan.placement or "", opset)

"""Plans: the measured best graph for each CPU runtime and each TensorRT.

A plan is everything about one graph that decides its speed. CPU plans are in `recipes/tuned/`, one
file per model, written by `edge-convnext tune` (benchmarks/README.md). TensorRT plans are in
`recipes/gpu/plans.yaml`, by precision and batch size.

Precedence, highest first: what a recipe states for every runtime (`export.form`,
`quantize.placement`, …), the recipe's own plans (`plans:`, `engine.plans`), the shipped plans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import yaml

from edge_convnext.core.artifacts import (
    ActivationType,
    CpuRuntimeName,
    FormName,
    GeluName,
    GraphFormat,
    PlacementName,
    Precision,
    RangeEstimator,
)
from edge_convnext.core.product_groups import Regrouping
from edge_convnext.core.recipe import recipe_folder
from edge_convnext.core.sections import EngineConfig, GpuPlanConfig
from edge_convnext.networks.family import family_of_model, find_model
from edge_convnext.networks.litert_plan import LITERT

if TYPE_CHECKING:
    from edge_convnext.core.recipe import Recipe, TargetName
    from edge_convnext.networks.protocol import NetworkFamily

__all__ = [
    "GpuFamily",
    "Plan",
    "choose_batches",
    "float_plan",
    "list_gpu_plans",
    "make_plan",
    "plan_fields",
    "plan_for",
    "plan_for_gpu",
    "shipped_plans",
]

# Typed graphs are for TensorRT 10 and later and for RTX; `tensorrt8` is for 8.6.
GpuFamily = Literal["typed", "tensorrt8"]

_GROUPS = ("float_groups", "int8_groups")
_PlannedPrecision = Literal["fp16", "int8"]
_FORMAT_LABELS: Mapping[GraphFormat, str] = {
    "qdq": "",
    "onnxruntime": ".ort",
    "onnxruntime_dynamic": ".dynamic",
    "litert": ".litert",
}
_BATCHES = (1, 8)
_UNASKED_BATCHES = (1,)  # without a stated GPU target: each batch size takes some seconds


@dataclass(frozen=True)
class Plan:
    """One way to write, quantize and run the graph."""

    form: FormName
    placement: PlacementName | None  # where Q/DQ is placed; None for float graphs
    activation_type: ActivationType = "int8"
    format: GraphFormat = "qdq"
    gelu: GeluName = "erf"
    range_estimator: RangeEstimator = "reconstruction"
    settings: tuple[tuple[str, str], ...] = ()  # settings of the runtime, by its own names
    precision: Precision = "int8"
    batch: int | None = None  # batch size of a graph for TensorRT; None on a CPU
    family: GpuFamily | None = None  # the TensorRT versions that take the graph; None on a CPU
    float_groups: tuple[str, ...] = ()  # products that stay float, whatever the placement says
    int8_groups: tuple[str, ...] = ()  # and those that are quantized

    @property
    def label(self) -> str:
        """Prefix of its graphs' names: `nhwc.inner.uint8` on a CPU, `mixed.blocks.b1` on a GPU.

        Unique among the plans for CPUs, and among the GPU plans of one precision and family.
        """
        stem = f"{self.form}.{self.placement}" if self.placement else self.form
        if self.batch is not None:
            return f"{stem}.b{self.batch}"
        parts = [
            "" if self.activation_type == "int8" else f".{self.activation_type}",
            "" if self.gelu == "erf" else f".{self.gelu}",
            "" if self.range_estimator == "reconstruction" else f".{self.range_estimator}",
            _FORMAT_LABELS[self.format],
            _label_groups("float", self.float_groups),
            _label_groups("int8", self.int8_groups),
            *(f"+{key}={value}" for key, value in self.settings),
        ]
        return f"{stem}{''.join(parts)}"

    @property
    def groups(self) -> Regrouping:
        """What it changes of its placement."""
        return Regrouping(self.float_groups, self.int8_groups)


def _label_groups(kept: str, names: Sequence[str]) -> str:
    """Of groups of products: `.float-depthwise0-gate`, which a file's name can hold."""
    return "".join((f".{kept}", *(f"-{name.replace('@', '')}" for name in names))) if names else ""


def float_plan(
    form: FormName,
    precision: Precision,
    batch: int | None = None,
    family: GpuFamily | None = None,
) -> Plan:
    """Make the plan of a float graph."""
    return Plan(form, None, precision=precision, batch=batch, family=family)


def make_plan(fields: Mapping[str, Any]) -> Plan:
    """Make a CPU plan from plain values, as a recipe states them."""
    settings = tuple(sorted(fields.get("settings", {}).items()))
    groups = {name: tuple(sorted(set(fields.get(name, ())))) for name in _GROUPS}
    return Plan(**{**fields, **groups, "settings": settings})


def plan_fields(plan: Plan) -> dict[str, Any]:
    """Return the plain values that a recipe states for this plan; the inverse of `make_plan`."""
    groups = {name: list(names) for name in _GROUPS if (names := getattr(plan, name))}
    return {
        "form": plan.form,
        "placement": plan.placement,
        "activation_type": plan.activation_type,
        "format": plan.format,
        "gelu": plan.gelu,
        "range_estimator": plan.range_estimator,
        "settings": dict(plan.settings),
        **groups,
    }


@cache
def shipped_plans(model: str) -> Mapping[CpuRuntimeName, Plan]:
    """Return the tuned plan of each runtime for a model, or for the tuned model nearest in size.

    Args:
        model: Full name, such as `convnextv2_atto`.

    Returns:
        Plans by runtime; empty if no model of this family was tuned.
    """
    models = family_of_model(model).models
    files = {path.stem: path for path in (recipe_folder() / "tuned").glob("*.yaml")}
    files = {name: path for name, path in files.items() if name in models}
    if not files:
        return {}
    size = find_model(model).count_params()

    def distance(name: str) -> float:
        other = find_model(name).count_params()
        return max(size, other) / min(size, other)

    nearest = min(sorted(files), key=distance)
    fields = yaml.safe_load(files[nearest].read_text(encoding="utf-8"))
    return {runtime: make_plan(plan) for runtime, plan in fields["plans"].items()}


def plan_for(recipe: Recipe, runtime: CpuRuntimeName) -> Plan:
    """Return the INT8 plan of a CPU runtime under a recipe."""
    if runtime in recipe.plans:
        best = make_plan(recipe.plans[runtime].model_dump())
    else:
        portable = _portable_plan(family_of_model(recipe.model), runtime)
        best = shipped_plans(recipe.model).get(runtime, portable)
    form = _choose_form(recipe, best.form)
    stated = recipe.quantize
    placement = best.placement if stated.placement == "auto" else stated.placement
    kind = best.activation_type if stated.activation_type == "auto" else stated.activation_type
    gelu = best.gelu if recipe.export.gelu == "auto" else recipe.export.gelu
    estimator = stated.activations_range_estimator
    if stated.activation_type == "auto" and stated.symmetric_ranges:
        kind = "int8"  # the others have a zero point
    planned = Plan(
        form,
        placement,
        kind,
        # The fused operators need a MatMul; a stated form may have none.
        best.format if form == best.form or runtime == LITERT else "qdq",
        gelu,
        best.range_estimator if estimator == "auto" else estimator,
        best.settings,
    )
    if (form, placement) != (best.form, best.placement):  # its groups were changed of another one
        return planned
    return replace(planned, float_groups=best.float_groups, int8_groups=best.int8_groups)


def _portable_plan(family: NetworkFamily, runtime: CpuRuntimeName) -> Plan:
    """The plan of a runtime that none was measured for.

    LiteRT has a format of its own. The first and the last product stay float there: for atto they
    cost 13 dB. Its ranges are those of each inference, so that how they
    would be estimated beforehand does not matter, and the quickest way serves.
    """
    form, placement = family.portable
    if runtime != LITERT:
        return Plan(form, placement)
    inner = "inner" if "inner" in family.placements else placement
    return Plan(form, inner, format="litert", range_estimator="minmax")


def choose_batches(recipe: Recipe) -> tuple[int, ...]:
    """Return the batch sizes that graphs and engines are made for, in rising order."""
    stated = recipe.engine.batches
    if stated != "auto":
        return tuple(sorted(set(stated)))
    if recipe.export.batch != "dynamic":
        return (recipe.export.batch,)
    return _UNASKED_BATCHES if recipe.targets == "auto" else _BATCHES


def list_gpu_plans(recipe: Recipe, targets: Sequence[TargetName]) -> tuple[Plan, ...]:
    """List the plans that a build makes for its GPU targets, the requested precision first.

    INT8 comes with FP16, which it has to beat on the device. Without a GPU target the list is
    empty.
    """
    if not set(targets) - {"cpu", "arm-cpu"}:
        return ()
    precisions: tuple[Precision, ...] = (recipe.precision,)
    if recipe.precision == "int8":
        precisions = ("int8", "fp16")
    families: tuple[GpuFamily, ...]
    families = ("typed", "tensorrt8") if "tensorrt" in targets else ("typed",)
    return tuple(
        plan_for_gpu(recipe, precision, batch, family)
        for family in families
        for precision in precisions
        for batch in choose_batches(recipe)
    )


def plan_for_gpu(
    recipe: Recipe, precision: Precision, batch: int, family: GpuFamily = "typed"
) -> Plan:
    """Return the plan of one precision at one batch size; FP32 has FP16's form."""
    planned: _PlannedPrecision = "int8" if precision == "int8" else "fp16"
    owner = family_of_model(recipe.model)
    plans = _own_gpu_plans(owner, _shipped_gpu_plans()[family][planned])
    if family == "typed":  # the recipe's plans come from `tune --target rtx`
        plans |= recipe.engine.plans.get(planned, {})
    best = plans[max(size for size in plans if size <= batch)]
    form = _choose_form(recipe, best.form)
    if precision != "int8":
        return float_plan(form, precision, batch, family)
    stated = recipe.quantize.placement
    placement = best.placement if stated == "auto" else stated
    gelu: GeluName = "erf" if recipe.export.gelu == "auto" else recipe.export.gelu
    return Plan(form, placement, gelu=gelu, batch=batch, family=family)


def _own_gpu_plans(
    owner: NetworkFamily, shipped: Mapping[int, GpuPlanConfig]
) -> dict[int, GpuPlanConfig]:
    """Shipped plans; the portable one instead for a family that they were not measured for."""
    placed = (*owner.gpu_placements, owner.portable[1])[0]
    usual = GpuPlanConfig(form=owner.portable[0], placement=placed)
    forms = (*owner.forms, *owner.gpu_forms) if owner.placer == "nncf" else ()
    return {size: plan if plan.form in forms else usual for size, plan in shipped.items()}


def _choose_form(recipe: Recipe, best: FormName) -> FormName:
    if family_of_model(recipe.model).folds and not recipe.fold.enabled:
        return "raw"  # every other form is written on folded weights
    return best if recipe.export.form == "auto" else recipe.export.form


_GpuPlans: TypeAlias = "Mapping[_PlannedPrecision, Mapping[int, GpuPlanConfig]]"


@cache
def _shipped_gpu_plans() -> Mapping[GpuFamily, _GpuPlans]:
    path = recipe_folder() / "gpu" / "plans.yaml"
    shipped = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        family: EngineConfig.model_validate({"plans": plans}).plans
        for family, plans in shipped.items()
    }

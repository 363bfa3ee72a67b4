"""Plans: how each runtime of a CPU is served best, as data that was measured.

A plan is everything about the INT8 graph that decides its speed. The shipped ones are in
`recipes/tuned/`, one file per model, written by `edge-convnext tune` (benchmarks/README.md);
a recipe's own `plans:` and the command line come first. Those for TensorRT are in `gpu_plans`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import yaml

from edge_convnext.core.artifacts import (
    ActivationType,
    CpuRuntimeName,
    FormName,
    GeluName,
    GraphFormat,
    PlacementName,
    RangeEstimator,
)
from edge_convnext.networks.family import family_of_model, find_family, find_model

if TYPE_CHECKING:
    from edge_convnext.core.recipe import Recipe

__all__ = [
    "Plan",
    "make_plan",
    "plan_fields",
    "plan_for",
    "shipped_plans",
]

_FORMAT_LABELS: Mapping[GraphFormat, str] = {
    "qdq": "",
    "onnxruntime": ".ort",
    "onnxruntime_dynamic": ".dynamic",
}


@dataclass(frozen=True)
class Plan:
    """One way to write, quantize and run the graph."""

    form: FormName
    placement: PlacementName
    activation_type: ActivationType = "int8"
    format: GraphFormat = "qdq"
    gelu: GeluName = "erf"
    range_estimator: RangeEstimator = "reconstruction"
    settings: tuple[tuple[str, str], ...] = ()  # of the runtime, beyond this package's own

    @property
    def label(self) -> str:
        """Unique among plans, such as `nhwc.inner.uint8`; begins the names of its graphs."""
        parts = [
            "" if self.activation_type == "int8" else f".{self.activation_type}",
            "" if self.gelu == "erf" else f".{self.gelu}",
            "" if self.range_estimator == "reconstruction" else f".{self.range_estimator}",
            _FORMAT_LABELS[self.format],
            *(f"+{key}={value}" for key, value in self.settings),
        ]
        return f"{self.form}.{self.placement}{''.join(parts)}"


def make_plan(fields: Mapping[str, Any]) -> Plan:
    """A plan from plain values, as they stand in a recipe."""
    settings = tuple(sorted(fields.get("settings", {}).items()))
    return Plan(**{**fields, "settings": settings})


def plan_fields(plan: Plan) -> dict[str, Any]:
    """`make_plan` the other way: what a recipe has to say for this plan."""
    return {**asdict(plan), "settings": dict(plan.settings)}


def shipped_plans(model: str) -> Mapping[CpuRuntimeName, Plan]:
    """The tuned plan of each runtime for a model, or for the tuned model nearest in size.

    Args:
        model: Full name, such as `convnextv2_atto`.

    Returns:
        Empty for a family that no file is of.
    """
    from edge_convnext.core.recipe import recipe_folder

    found = find_model(model)
    models, size = find_family(found.family).models, found.count_params()
    files = {path.stem: path for path in (recipe_folder() / "tuned").glob("*.yaml")}
    files = {name: path for name, path in files.items() if name in models}
    if not files:
        return {}

    def distance(name: str) -> float:
        other = find_model(name).count_params()
        return max(size, other) / min(size, other)

    nearest = min(sorted(files), key=distance)
    fields = yaml.safe_load(files[nearest].read_text(encoding="utf-8"))
    return {runtime: make_plan(plan) for runtime, plan in fields["plans"].items()}


def plan_for(recipe: Recipe, runtime: CpuRuntimeName) -> Plan:
    """The plan of a runtime under a recipe.

    What the recipe states for every runtime (`export.form`, `quantize.placement`, …) goes
    before its `plans:`, and those before the shipped ones.
    """
    family = family_of_model(recipe.model)
    if runtime in recipe.plans:
        best = make_plan(recipe.plans[runtime].model_dump())
    else:
        best = shipped_plans(recipe.model).get(runtime) or Plan(*family.portable)
    form = best.form if recipe.export.form == "auto" else recipe.export.form
    if not (recipe.fold.enabled and family.folds):
        form = "raw"  # every other form is written on folded weights
    stated = recipe.quantize
    placement = best.placement if stated.placement == "auto" else stated.placement
    kind = best.activation_type if stated.activation_type == "auto" else stated.activation_type
    gelu = best.gelu if recipe.export.gelu == "auto" else recipe.export.gelu
    estimator = stated.activations_range_estimator
    return Plan(
        form,
        placement,
        kind,
        # The fused products need MatMul; a form that was stated may have none.
        best.format if form == best.form else "qdq",
        gelu,
        best.range_estimator if estimator == "auto" else estimator,
        best.settings,
    )

"""Plans: how each runtime is served best, as data that was measured.

A plan is everything about the INT8 graph that decides its speed. The shipped ones are in
`recipes/tuned/`, one file per model, written by `edge-convnext tune` (benchmarks/README.md);
a recipe's own `plans:` and the command line come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from edge_convnext.artifacts import (
    ActivationType,
    FormName,
    GraphFormat,
    PlacementName,
    RuntimeName,
)

if TYPE_CHECKING:
    from edge_convnext.recipe import Recipe

__all__ = ["ENGINE_PLAN", "FLOAT_FORMS", "Plan", "plan_for", "shipped_plans"]


@dataclass(frozen=True)
class Plan:
    """One way to write and quantize the graph."""

    form: FormName
    placement: PlacementName
    activation_type: ActivationType = "int8"
    format: GraphFormat = "qdq"

    @property
    def label(self) -> str:
        """Unique among plans, such as `nhwc.inner.uint8`; ends the names of its graphs."""
        kind = "" if self.activation_type == "int8" else f".{self.activation_type}"
        return f"{self.form}.{self.placement}{kind}{'' if self.format == 'qdq' else '.ort'}"


# TensorRT for RTX needs 112 kernels for the MatMul form and 144 for the 1x1 Conv form, and
# signed activations.
ENGINE_PLAN = Plan("linear", "pointwise")

# Every float form is raced: a verdict compares with the best float, not with a handy one.
FLOAT_FORMS: tuple[FormName, ...] = ("raw", "linear", "conv")


def shipped_plans(model: str) -> Mapping[RuntimeName, Plan]:
    """The tuned plan of each runtime for a model, or for the tuned model nearest in size.

    Args:
        model: Full name, such as `convnextv2_atto`.
    """
    from edge_convnext.convnext.architecture import find_architecture
    from edge_convnext.recipe import recipe_folder

    files = {path.stem: path for path in (recipe_folder() / "tuned").glob("*.yaml")}
    size = find_architecture(model).count_params()

    def distance(name: str) -> float:
        other = find_architecture(name).count_params()
        return max(size, other) / min(size, other)

    nearest = min(sorted(files), key=distance)
    fields = yaml.safe_load(files[nearest].read_text(encoding="utf-8"))
    return {runtime: Plan(**plan) for runtime, plan in fields["plans"].items()}


def plan_for(recipe: Recipe, runtime: RuntimeName | None) -> Plan:
    """The plan of a runtime under a recipe; of the TensorRT engine where `runtime` is None.

    What the recipe states for every runtime (`export.form`, `quantize.placement`, …) goes
    before its `plans:`, and those before the shipped ones.
    """
    if runtime is None:
        best = ENGINE_PLAN
    elif runtime in recipe.plans:
        best = Plan(**recipe.plans[runtime].model_dump())
    else:
        best = shipped_plans(recipe.model)[runtime]
    form = best.form if recipe.export.form == "auto" else recipe.export.form
    if not recipe.fold.enabled:
        form = "raw"  # every other form is written on folded weights
    stated = recipe.quantize
    placement = best.placement if stated.placement == "auto" else stated.placement
    kind = best.activation_type if stated.activation_type == "auto" else stated.activation_type
    # The fused products need MatMul; a form that was stated may have none.
    lowered = best.format if form == best.form else "qdq"
    return Plan(form, placement, "int8" if runtime is None else kind, lowered)

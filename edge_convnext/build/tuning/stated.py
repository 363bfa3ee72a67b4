"""What a recipe states of plans: a search neither combines nor changes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.networks.plans import Plan

__all__ = ["as_stated", "why_stated_otherwise"]


def as_stated(recipe: Recipe, plan: Plan, by_role: bool) -> Plan:
    """The plan with the recipe's values of all settings that the search does not combine."""
    if by_role and recipe.export.form != "auto":
        plan = replace(plan, form=recipe.export.form)
    gelu, estimator = recipe.export.gelu, recipe.quantize.activations_range_estimator
    if gelu != "auto":
        plan = replace(plan, gelu=gelu)
    return plan if estimator == "auto" else replace(plan, range_estimator=estimator)


def why_stated_otherwise(recipe: Recipe, plan: Plan) -> str | None:
    """How a plan differs from the recipe's values, which a build of it would use; or None."""
    stated = {
        "form": (recipe.export.form, plan.form),
        "gelu": (recipe.export.gelu, plan.gelu),
        "placement": (recipe.quantize.placement, plan.placement),
        "activation_type": (recipe.quantize.activation_type, plan.activation_type),
        "range estimator": (
            recipe.quantize.activations_range_estimator,
            plan.range_estimator,
        ),
    }
    for name, (wanted, own) in stated.items():
        if wanted not in ("auto", own):
            return f"the recipe states the {name} {wanted}"
    return None

"""Forms of the float that a build makes for a CPU: the planned, and those that may be faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.networks.arm_plans import arm_forms, arm_plan
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import plan_for, shipped_plans

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edge_convnext.core.artifacts import CpuRuntimeName, FormName
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.networks.plans import Plan

__all__ = ["list_forms", "list_work", "rival_forms", "unraced_forms"]


def list_work(
    recipe: Recipe,
    runtimes: Sequence[CpuRuntimeName],
    without: Collection[FormName] = (),
    *,
    for_arm: bool = False,
) -> tuple[list[FormName], list[Plan]]:
    """The forms of the float that a build makes for CPUs, and its plans.

    Args:
        recipe: Recipe of the build.
        runtimes: Runtimes to measure.
        without: Forms from `rival_forms` that are not made.
        for_arm: True makes the graphs for Arm CPUs too.
    """
    plans = [plan_for(recipe, runtime) for runtime in runtimes]
    forms = [form for form in list_forms(recipe, runtimes) if form not in without]
    if for_arm:
        forms = list(dict.fromkeys([*forms, *arm_forms(recipe).values()]))
        plans.append(arm_plan(recipe))
    return forms, plans


def list_forms(recipe: Recipe, runtimes: Sequence[CpuRuntimeName]) -> list[FormName]:
    """Every form that a build makes; none without a runtime."""
    if recipe.benchmark.scope == "full":
        return _all_forms(recipe, runtimes)
    return list(dict.fromkeys(_planned(recipe, runtimes)))


def rival_forms(recipe: Recipe, runtimes: Sequence[CpuRuntimeName]) -> tuple[FormName, ...]:
    """Those that are made only because they may be faster than the planned ones."""
    kept = {"raw", *_planned(recipe, runtimes)}  # the raw one is what users have
    return tuple(form for form in list_forms(recipe, runtimes) if form not in kept)


def unraced_forms(recipe: Recipe, runtimes: Sequence[CpuRuntimeName]) -> tuple[FormName, ...]:
    """Those that a build of full scope would race, and this one does not."""
    made = list_forms(recipe, runtimes)
    return tuple(form for form in _all_forms(recipe, runtimes) if form not in made)


def _all_forms(recipe: Recipe, runtimes: Sequence[CpuRuntimeName]) -> list[FormName]:
    if not runtimes:
        return []
    family = family_of_model(recipe.model)
    if family.folds and not recipe.fold.enabled:
        return ["raw"]
    best = [plan.form for plan in shipped_plans(recipe.model).values()]
    return list(dict.fromkeys([*family.float_forms, *best, *_planned(recipe, runtimes)]))


def _planned(recipe: Recipe, runtimes: Sequence[CpuRuntimeName]) -> list[FormName]:
    return [plan_for(recipe, runtime).form for runtime in runtimes]

"""The graphs of a build for CPU runtimes: which are needed, and making them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from edge_convnext.build.float_chain import fold_step
from edge_convnext.build.graphs import Graphs, add_form, add_plan
from edge_convnext.core.step import Skipped
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import float_plan, plan_for, shipped_plans
from edge_convnext.runtimes.lint import for_those_that_can
from edge_convnext.stages import approximate, equalize, fold, quantize
from edge_convnext.stages import fuse_for_onnxruntime as fuse

if TYPE_CHECKING:
    from edge_convnext.build.inputs import Inputs
    from edge_convnext.build.lineage import Lineage
    from edge_convnext.build.runner import Runner
    from edge_convnext.core.artifacts import CpuRuntimeName, FormName, Precision
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.core.step import Images
    from edge_convnext.networks.plans import Plan

__all__ = ["make_graphs", "rival_forms", "unraced_forms"]


def make_graphs(
    runner: Runner,
    inputs: Inputs,
    runtimes: Sequence[CpuRuntimeName],
    samples: Images,
    calibration: Images | None,
    training: Images | Skipped,
    *,
    begun: Iterable[Lineage] = (),
    without: Collection[FormName] = (),
) -> Graphs:
    """Fold, export, simplify, quantize and fine-tune the graphs that the CPU runtimes need.

    Args:
        runner: Runner of this build.
        inputs: Weights and data of the build.
        runtimes: Runtimes to measure; the raw FP32 reference and every float form are made too.
        samples: Real images for the parity checks.
        calibration: Calibration images; None unless INT8 is wanted.
        training: Images to fine-tune INT8 graphs with, or why the graphs are not fine-tuned.
        begun: Float graphs that this build has already.
        without: Forms from `rival_forms` that are not made.
    """
    recipe, graphs = runner.recipe, Graphs(lineages={one.plan: one for one in begun})
    plans = [plan_for(recipe, runtime) for runtime in runtimes]
    forms = [form for form in _float_forms(recipe, plans) if form not in without] if plans else []
    graphs.skipped += _not_for_cpu(recipe, runtimes)
    if isinstance(training, Skipped):
        graphs.skipped.append(training)
    family = family_of_model(recipe.model)
    if recipe.fold.enabled and family.folds:
        graphs.folded = fold_step(runner, inputs.weights, samples)
    else:
        reason = "--no-fold" if family.folds else f"{family.label} has nothing to fold"
        graphs.skipped.append(Skipped(fold.STAGE, reason, "skipped"))
    wanted: list[tuple[FormName, Precision]] = [(form, "fp32") for form in forms]
    if recipe.precision == "fp16":
        wanted += [(form, "fp16") for form in dict.fromkeys(plan.form for plan in plans)]
    for form, precision in wanted:
        # The raw export is the reference that users have; it is simplified only if it ships.
        ships = form != "raw" or not family.folds or "raw" in {plan.form for plan in plans}
        if float_plan(form, precision) not in graphs.lineages:
            add_form(runner, inputs, graphs, form, precision, samples, simplify=ships)
    if recipe.precision == "int8" and calibration is not None:
        images = None if isinstance(training, Skipped) else training
        for plan in dict.fromkeys(plans):
            users = [runtime for runtime in runtimes if plan_for(recipe, runtime) == plan]
            made = partial(
                add_plan, runner, graphs, plan, calibration=calibration, samples=samples,
                training=images,
            )  # fmt: skip
            # Who computes it wrongly is told by `sieve`; others may be right.
            for_those_that_can(made, users)
    return graphs


def _not_for_cpu(recipe: Recipe, runtimes: Sequence[CpuRuntimeName]) -> Iterator[Skipped]:
    """The stages of INT8 graphs for a CPU that no graph of this build needs."""
    if recipe.precision != "int8":
        reason = f"the precision is {recipe.precision}"
        yield Skipped(equalize.STAGE, reason)
        yield Skipped(quantize.STAGE, reason)
    elif not runtimes:
        yield Skipped(equalize.STAGE, "cpu is not among the targets")
    yield Skipped(approximate.STAGE, "no plan asks for an approximation")
    yield Skipped(fuse.STAGE, "no plan is for ONNX Runtime alone")


def rival_forms(recipe: Recipe, runtimes: Sequence[CpuRuntimeName]) -> tuple[FormName, ...]:
    """Forms of the float that are made only because they may be faster than the planned ones."""
    plans = [plan_for(recipe, runtime) for runtime in runtimes]
    kept = {"raw", *(plan.form for plan in plans)}  # the raw one is what users have
    return tuple(form for form in _float_forms(recipe, plans) if form not in kept)


def unraced_forms(recipe: Recipe, runtimes: Sequence[CpuRuntimeName]) -> tuple[FormName, ...]:
    """Forms of the float that a build of full scope would race, and this one does not."""
    if recipe.benchmark.scope == "full":
        return ()
    plans = [plan_for(recipe, runtime) for runtime in runtimes]
    raced = _float_forms(recipe, plans)
    return tuple(form for form in _all_forms(recipe, plans) if form not in raced)


def _float_forms(recipe: Recipe, plans: Sequence[Plan]) -> list[FormName]:
    if recipe.benchmark.scope == "full":
        return _all_forms(recipe, plans)
    return list(dict.fromkeys(plan.form for plan in plans))


def _all_forms(recipe: Recipe, plans: Sequence[Plan]) -> list[FormName]:
    family = family_of_model(recipe.model)
    if family.folds and not recipe.fold.enabled:
        return ["raw"]
    planned = [plan.form for plan in plans]
    best = [plan.form for plan in shipped_plans(recipe.model).values()]
    return list(dict.fromkeys([*family.float_forms, *best, *planned]))

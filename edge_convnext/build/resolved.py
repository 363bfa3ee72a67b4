"""The recipe of a finished build in its report: as it was stated, and with all values settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge_convnext.networks.arm_plans import arm_forms
from edge_convnext.networks.plans import plan_fields, plan_for

if TYPE_CHECKING:
    from edge_convnext.build.lineage import Lineage
    from edge_convnext.build.settle import Prepared
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.measure.candidates import Candidate

__all__ = ["resolved_recipe", "stated_recipe"]


def resolved_recipe(prepared: Prepared, chosen: Candidate | None, *, timed: bool) -> dict[str, Any]:
    """The recipe with the values that the checkpoint and the machine settled.

    Args:
        prepared: Graphs of this build, with the inputs they were made from.
        chosen: Candidate that ships in the requested precision.
        timed: True if there was a race.
    """
    recipe, for_gpu = prepared.runner.recipe, prepared.graphs.for_gpu
    fields: dict[str, Any] = recipe.model_dump(mode="json")
    fields["targets"] = list(prepared.targets)
    if for_gpu:
        batches = sorted({one.plan.batch for one in for_gpu if one.plan.batch})
        fields["engine"] |= {"batches": batches, "plans": _gpu_plans(recipe, for_gpu)}
    fields["preprocess"] = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(prepared.inputs.info.preprocess).items()
    }
    if chosen is not None and timed:  # replaces `auto`, so that this recipe makes the same files
        fields["runtime"] = chosen.runtime
    return fields | _plans(prepared, chosen)


def stated_recipe(prepared: Prepared, chosen: Candidate | None) -> dict[str, Any]:
    """The recipe as it was stated, with the plans in force, so that it builds the same again."""
    recipe = prepared.runner.recipe
    fields: dict[str, Any] = recipe.model_dump(mode="json")
    fields["engine"]["plans"] = _gpu_plans(recipe, prepared.graphs.for_gpu)
    return fields | _plans(prepared, chosen)


def _plans(prepared: Prepared, chosen: Candidate | None) -> dict[str, Any]:
    """The plan in force of each runtime; runtimes without a model are left out."""
    recipe = prepared.runner.recipe
    if chosen is None:
        return {}
    on_arm = arm_forms(recipe) if "arm-cpu" in prepared.targets else ()
    named = dict.fromkeys((*prepared.runtimes, *on_arm))
    return {"plans": {runtime: plan_fields(plan_for(recipe, runtime)) for runtime in named}}


def _gpu_plans(recipe: Recipe, for_gpu: Iterable[Lineage]) -> dict[str, dict[str, Any]]:
    """The recipe's own GPU plans and those in force, in the format of `engine.plans`."""
    found: dict[str, dict[str, Any]]
    found = recipe.engine.model_dump(mode="json")["plans"]
    for lineage in for_gpu:
        plan = lineage.plan
        by_batch = found.setdefault("int8" if plan.precision == "int8" else "fp16", {})
        by_batch[str(plan.batch)] = {"form": plan.form, "placement": plan.placement}
    return found

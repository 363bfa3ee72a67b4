"""Tune: find the plan of each runtime on this machine, by racing all of them.

Graphs are first quantized on a few images, since ranges don't change latency, and raced. The
finalists are quantized on all images and compared with the float model. The fastest within the
accuracy budget wins; of those that tie, the one with the fewest nodes. Of a network that is placed
by role, groups of its products then go to float or INT8, one after the other (`refine`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from edge_convnext.build.entrants import verdict_batch
from edge_convnext.build.inputs import Inputs
from edge_convnext.build.settle import prepare
from edge_convnext.build.tuning.refine import refine
from edge_convnext.build.tuning.search import Search
from edge_convnext.build.tuning.trials import Trial
from edge_convnext.core.artifacts import CpuRuntimeName
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.sections import PlanConfig
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.litert_plan import is_tuned, require_tuned
from edge_convnext.networks.plans import Plan, plan_fields

__all__ = ["Mode", "TuneResult", "search_plans", "tune", "tuned_recipe"]

Mode = Literal["quick", "full"]
_QUICK_LIMIT_S = 45.0  # to race whole plans, in all runtimes, and as long to refine the winners


@dataclass(frozen=True)
class TuneResult:
    """The result of a search."""

    mode: Mode
    batch: int  # images per inference
    trials: tuple[Trial, ...]  # by runtime and heat, the fastest first
    winners: Mapping[CpuRuntimeName, Plan]
    stopped: Mapping[CpuRuntimeName, str]  # why each race ended
    machine: str  # fingerprint
    other_load_pct: float  # largest share of the CPU that other programs took during a race
    seconds: float
    # What of the winner was changed by role and stage, or `not run` and why.
    refined: Mapping[CpuRuntimeName, str] = field(default_factory=dict)


def tune(
    recipe: Recipe,
    mode: Mode,
    cache: Cache,
    track: Track = untracked,
    batch: int | None = None,
    on_read: Callable[[Inputs], None] | None = None,
) -> TuneResult:
    """Search the plans of every runtime that the recipe asks for.

    Times are kept in the cache: a search that was stopped goes on where it was, and one that
    finished while this machine was idle is answered at once.

    Args:
        recipe: Recipe with the model, its data, and the accuracy budget. Settings of a plan that
            it states, such as `export.form`, are not searched.
        mode: Extent of the search. `quick` tries plans that are seldom much slower than the usual
            one, limits the time to race, and checks finalists until one is accurate: three
            minutes for atto on two cores, with its graphs. `full` tries all plans without a
            limit, and settings and ranges of the winner. Both refine the winner by role and stage.
        cache: Cache of finished stages.
        track: Shows work that takes long.
        batch: Images per inference to tune for; None is the recipe's smallest.
        on_read: Called with what was read and the source of each setting, before any work is done.

    Raises:
        EdgeConvNextError: A stage failed as in a build, the recipe is not of INT8 for a CPU, or it
            leaves nothing to search.
    """
    if recipe.precision != "int8":
        raise RecipeError(f"tune finds INT8 plans, and the precision is {recipe.precision}")
    if family_of_model(recipe.model).folds and not recipe.fold.enabled:
        raise RecipeError("tune has forms of folded weights alone: set fold.enabled to true")
    require_tuned(recipe.runtime)
    started = time.monotonic()
    machine = environment()
    # Fine-tuning changes no latency, and is left to the build of the winner.
    quick = recipe.recover.model_copy(update={"enabled": False})
    raced = recipe.model_copy(update={"targets": ("cpu",), "recover": quick})
    prepared = prepare(
        raced, cache, machine["versions"], track,
        fold_only=True, machine=machine["fingerprint"], on_read=on_read,
    )  # fmt: skip
    trials: list[Trial] = []
    winners: dict[CpuRuntimeName, Plan] = {}
    stopped: dict[CpuRuntimeName, str] = {}
    refined: dict[CpuRuntimeName, str] = {}
    size = batch or verdict_batch(recipe)
    other_load_pct = 0.0
    runtimes = [one for one in prepared.runtimes if is_tuned(one)]
    for runtime in runtimes:
        search = Search(prepared, runtime, mode == "full", size, machine["fingerprint"])
        limit = _QUICK_LIMIT_S / len(runtimes) if mode == "quick" else None
        found = search.run(limit, partial(refine, full=mode == "full", limit_s=limit))
        trials += found.trials
        stopped[runtime], refined[runtime] = found.stopped, found.refined
        winners[runtime] = next(one.plan for one in found.trials if one.won)
        other_load_pct = max(other_load_pct, search.other_load_pct)
    return TuneResult(
        mode, size, tuple(trials), winners, stopped, machine["fingerprint"], other_load_pct,
        time.monotonic() - started, refined,
    )  # fmt: skip


def tuned_recipe(recipe: Recipe, result: TuneResult) -> Recipe:
    """The recipe with the winners as its plans, which builds them without a search."""
    plans = {
        runtime: PlanConfig.model_validate(plan_fields(plan))
        for runtime, plan in result.winners.items()
    }
    return recipe.model_copy(update={"plans": {**recipe.plans, **plans}})


def search_plans(
    recipe: Recipe,
    mode: Mode,
    track: Track = untracked,
    on_read: Callable[[Inputs], None] | None = None,
) -> Recipe:
    """The recipe with the plans that won on this machine, in a search now or an earlier one."""
    cache = Cache(default_cache_folder(os.environ))
    result = tune(recipe, mode, cache, track, on_read=on_read)
    return tuned_recipe(recipe, result)

"""The candidates of a build: evaluate them, race them, and choose what ships."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.build.arm_graphs import list_arm_options
from edge_convnext.build.candidates import list_gpu_options, list_options, raw_reference
from edge_convnext.devices.int8_support import saturates
from edge_convnext.devices.probes import read_cpu
from edge_convnext.measure.choose import (
    choose_each,
    choose_float,
    choose_option,
    list_contested,
    list_finalists,
    list_left,
    list_rivals,
)
from edge_convnext.measure.quiet import tell_load
from edge_convnext.measure.race import Race, race
from edge_convnext.runtimes.load import has_bf16

if TYPE_CHECKING:
    from edge_convnext.build.evaluating import Evaluator
    from edge_convnext.build.settle import Prepared
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.timings import BenchmarkResult

__all__ = [
    "Choice",
    "Entrants",
    "choose_entrants",
    "evaluate_entrants",
    "race_entrants",
    "verdict_batch",
]


@dataclass(frozen=True)
class Entrants:
    """Every candidate of one build."""

    options: Sequence[Candidate]  # for a CPU: evaluated and raced
    for_gpu: Sequence[Candidate]  # for TensorRT: evaluated in ONNX Runtime, never raced
    judged: Sequence[Candidate]  # those of the others that may be chosen
    raw: Candidate | None  # the unfolded FP32 export: raced for comparison
    unfit: Sequence[Candidate] = ()  # floats that are wrong where they run: raced, never chosen
    for_arm: Sequence[Candidate] = ()  # for Arm CPUs: evaluated in ONNX Runtime, never raced


@dataclass(frozen=True)
class Choice:
    """The candidates that ship, and those they had to beat."""

    chosen: Candidate | None  # of the requested precision
    best_float: Candidate | None  # the float that ships, in whichever runtime is fastest
    rivals: Sequence[Candidate] = ()  # timed floats that may be the fastest
    for_runtimes: Sequence[Candidate] = ()  # the best of each runtime, of those timed


def evaluate_entrants(
    prepared: Prepared,
    evaluator: Evaluator,
    keep: Callable[[Sequence[Candidate]], list[Candidate]] = list,
) -> Entrants:
    """Evaluate every candidate of a build, and the fallbacks of INT8 graphs past the budget.

    Args:
        prepared: Graphs of this build, with the inputs they were made from.
        evaluator: Evaluator that collects the accuracies.
        keep: Filter of candidates that are right where they run, such as a `Sieve`.
    """
    recipe, graphs, runtimes = prepared.runner.recipe, prepared.graphs, prepared.runtimes
    overflows = saturates(read_cpu(Path("/"))[1])
    options = keep(list_options(recipe, graphs, runtimes, has_bf16(runtimes), overflows=overflows))
    for_arm = keep(list_arm_options(prepared))
    for_gpu = list_gpu_options(recipe, graphs.for_gpu, alone=not runtimes and not for_arm)
    any_ships = recipe.precision == "fp32"  # whichever float form is fastest
    wanted = [option for option in options if option.may_ship or any_ships]
    if runtimes and not any_ships:
        # A float in float32 computes what the model does. In bfloat16 its accuracy may rule it
        # out, so all that may ship are evaluated; for the decision alone, those that are fastest.
        alone = recipe.benchmark.scope == "decision"
        wanted = [
            option
            for option in wanted
            if option.model.precision != "fp32" or not (alone or option.hint == "f32")
        ]
    wanted += [option for option in for_arm if option.model.precision == recipe.precision]
    evaluator.add(wanted + for_gpu)
    run_here = options if runtimes else for_arm
    if recipe.precision == "int8":
        run_here += keep(evaluator.hold_budget(run_here))
    judged = _not_replaced(run_here, evaluator)
    if not runtimes:
        judged += for_gpu
    return Entrants(options, for_gpu, judged, raw_reference(graphs), for_arm=for_arm)


def _not_replaced(options: Sequence[Candidate], evaluator: Evaluator) -> list[Candidate]:
    """Leave out graphs that have a fallback: half of the images might wrongly excuse them."""
    gone = {option.name for one in evaluator.fallbacks for option in one.replaced}
    return [option for option in options if option.name not in gone]


def race_entrants(prepared: Prepared, entrants: Entrants, evaluator: Evaluator) -> Race | None:
    """Time all candidates, then load the finalists afresh and judge them.

    Args:
        prepared: Recipe, runtimes, and images to time on.
        entrants: Candidates to time.
        evaluator: Evaluator with the accuracies; it evaluates rivals that turn up in the race.

    Returns:
        The race; None if the build has no runtime for a CPU.
    """
    if not prepared.runtimes:
        return None
    recipe, batch = prepared.runner.recipe, verdict_batch(prepared.runner.recipe)
    reference = [entrants.raw] if entrants.raw else []
    floats = [*entrants.judged, *entrants.unfit]

    def finalists(timings: BenchmarkResult) -> list[Candidate]:
        rivals = list_rivals(recipe, floats, timings, evaluator.found, batch)
        # The accuracy of a bfloat16 rival may rule it out; then another float takes its place.
        while unknown := [one for one in rivals if one.hint != "f32" and not evaluator.knows(one)]:
            evaluator.add(unknown)
            rivals = list_rivals(recipe, floats, timings, evaluator.found, batch)
        found = list_finalists(recipe, entrants.judged, timings, evaluator.found, batch)
        unfit = [one for one in rivals if one in entrants.unfit]
        return [*found, *unfit, *reference]

    def left(timings: BenchmarkResult) -> list[Candidate]:
        near = list_left(recipe, entered, timings, batch)
        judged = timings.judged.names if timings.judged else ()
        return [one for one in entered if one in near or one in reference or one.name in judged]

    def contested(timings: BenchmarkResult) -> list[Candidate]:
        near = list_left(recipe, entered, timings, batch)
        return list_contested(recipe, near, timings, batch)

    images = np.concatenate(prepared.samples.load())
    if not recipe.benchmark.wait_quiet_min:
        tell_load(prepared.runner.track, "--wait-quiet MINUTES waits for a quiet machine")
    entered = [*entrants.options, *entrants.unfit, *reference]
    track = prepared.runner.track
    if recipe.benchmark.scope == "decision":
        alone = recipe.benchmark.model_copy(update={"batches": (batch,)})
        recipe = recipe.model_copy(update={"benchmark": alone})
        return race(
            entered, images, recipe, finalists, track, None, contested, measure_memory=False
        )
    return race(entered, images, recipe, finalists, track, left, contested)


def choose_entrants(
    recipe: Recipe,
    judged: Sequence[Candidate],
    timings: BenchmarkResult | None,
    evaluator: Evaluator,
    unfit: Sequence[Candidate] = (),
) -> Choice:
    """Choose what ships, by the rounds of the race that are kept for choosing.

    Args:
        recipe: Recipe of this build.
        judged: Candidates that may be chosen.
        timings: Times of the race; None without a race.
        evaluator: Evaluator with the accuracies; it evaluates a float that is chosen without one.
        unfit: Floats that may not be chosen, and have to be beaten.
    """
    batch, budget = verdict_batch(recipe), recipe.evaluate.max_drop_pp
    rivals = _to_beat(recipe, judged, unfit, timings, evaluator) if timings else []
    best_float = choose_float(recipe, judged, timings, evaluator.found, batch)
    while best_float and not evaluator.knows(best_float):
        evaluator.add([best_float])
        best_float = choose_float(recipe, judged, timings, evaluator.found, batch)
    chosen = best_float  # an FP32 build ships one float, and its report is about that one
    if recipe.precision != "fp32":
        chosen = choose_option(judged, recipe.precision, timings, evaluator.found, budget, batch)
    each = choose_each(recipe, judged, timings, evaluator.found, batch) if timings else ()
    return Choice(chosen, best_float, rivals, each)


def _to_beat(
    recipe: Recipe,
    judged: Sequence[Candidate],
    unfit: Sequence[Candidate],
    timings: BenchmarkResult,
    evaluator: Evaluator,
) -> list[Candidate]:
    """The floats that may be the fastest of those that may ship, and of all."""
    batch = verdict_batch(recipe)
    pools = (judged, [*judged, *unfit]) if unfit else (judged,)
    found = (list_rivals(recipe, pool, timings, evaluator.found, batch) for pool in pools)
    return list({one.name: one for pool in found for one in pool}.values())


def verdict_batch(recipe: Recipe) -> int:
    """The batch size that decides: 1, or the smallest timed."""
    return min(recipe.benchmark.batches)

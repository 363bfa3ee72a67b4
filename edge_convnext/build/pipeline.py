"""The chain: load, fold, export, simplify, quantize, recover, engine, evaluate, benchmark, report.

With `prepare`, which makes the graphs, the only module that knows the order of the stages.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.build.compare import judge_options, race_options
from edge_convnext.build.evaluating import Evaluator
from edge_convnext.build.gpu_graphs import (
    build_engines,
    list_gpu_options,
)
from edge_convnext.build.graphs import list_options, raw_reference
from edge_convnext.build.inputs import DEMO_BANNER, Inputs, is_demo
from edge_convnext.build.outcome import Outcome
from edge_convnext.build.settle import Prepared, prepare
from edge_convnext.core.artifacts import Precision
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.files import AnyPath
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Images
from edge_convnext.measure.benchmark import BenchmarkResult
from edge_convnext.measure.candidates import Option
from edge_convnext.measure.choose import (
    choose_each,
    choose_float,
    choose_option,
    list_finalists,
    list_rivals,
)
from edge_convnext.measure.quiet import race_in_quiet
from edge_convnext.networks.family import family_of_model
from edge_convnext.runtimes.load import has_bf16

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report

__all__ = ["DEMO_BANNER", "build", "is_demo"]


def build(
    recipe: Recipe,
    out: AnyPath | None = None,
    *,
    require: Precision | None = None,
    require_likely: Precision | None = None,
    cache: Cache | None = None,
    track: Track = untracked,
    on_read: Callable[[Inputs], None] | None = None,
) -> Report:
    """Run the whole chain and write its artefacts and report.

    Args:
        recipe: What to build (`recipe.load_recipe`).
        out: Folder to write; None is `build/<model>-<precision>`.
        require: The precision that the verdict must be, shown, for `report.verdict.passed`.
        require_likely: The same, where likely is enough.
        cache: Finished stages; None is the user's cache folder.
        track: Told of work that takes long.
        on_read: Told what was read, and who decided each setting, before any work is done.

    Returns:
        The report, as written to `report.json`.

    Raises:
        EdgeConvNextError: In one line, what is wrong and what to do; nothing is written then.
    """
    out = Path(out) if out is not None else None
    from edge_convnext.build.publish import publish
    from edge_convnext.report.folder import check_writable
    from edge_convnext.report.verdict import Requirement

    folder = (
        out
        or Path("build")
        / f"{family_of_model(recipe.model).short_name(recipe.model)}-{recipe.precision}"
    )
    check_writable(folder)
    store = cache or Cache(default_cache_folder(os.environ))
    with store.guarded():
        requirement = Requirement.of(require, require_likely)
        return publish(run_chain(recipe, store, track, on_read), folder, requirement)


def run_chain(
    recipe: Recipe,
    cache: Cache,
    track: Track,
    on_read: Callable[[Inputs], None] | None = None,
) -> Outcome:
    """Run every stage; nothing outside the cache is written."""
    from edge_convnext.devices.doctor import environment

    machine = environment()
    fingerprint = machine["fingerprint"]
    versions = machine["versions"]
    prepared = prepare(recipe, cache, versions, track, machine=fingerprint, on_read=on_read)
    return measure_prepared(prepared, machine)


def measure_prepared(prepared: Prepared, machine: Mapping[str, Any]) -> Outcome:
    """Evaluate what was prepared, build the engines, and race."""
    recipe, steps, inputs = prepared.steps.recipe, prepared.steps, prepared.inputs
    targets, runtimes, graphs = prepared.targets, prepared.runtimes, prepared.graphs
    options = list_options(recipe, graphs, runtimes, has_bf16(runtimes))
    for_gpu = list_gpu_options(recipe, prepared.gpu_graphs.made, alone=not runtimes)
    any_ships = recipe.precision == "fp32"  # whichever float form is fastest
    evaluator = Evaluator(prepared, machine["fingerprint"])
    evaluator.add([option for option in options if option.may_ship or any_ships] + for_gpu)
    if recipe.precision == "int8":
        options += evaluator.hold_budget(options)
    engines = build_engines(steps, prepared.gpu_graphs, targets)
    raw = raw_reference(graphs)
    judged = _not_replaced(options, evaluator) if runtimes else for_gpu
    race = _Race()
    if runtimes:
        once = partial(_race, prepared, options, judged, raw, evaluator)
        race = race_in_quiet(once, recipe.benchmark.wait_quiet_min, _load, steps.track)
    chosen, best_float = _choose(recipe, judged, race.timings, evaluator)
    return Outcome(
        recipe, inputs, machine, targets, graphs, prepared.unrecovered, prepared.gpu_graphs,
        for_gpu, engines, options, raw, evaluator.found, evaluator.fallbacks, evaluator.searched,
        race.timings, race.seconds, chosen, best_float, race.rivals,
        choose_each(recipe, judged, race.timings, evaluator.found, verdict_batch(recipe))
        if race.timings else (),
    )  # fmt: skip


@dataclass(frozen=True)
class _Race:
    """What was timed; nothing where there is no runtime."""

    timings: BenchmarkResult | None = None
    seconds: float = 0.0
    rivals: Sequence[Option] = ()


def _race(
    prepared: Prepared,
    options: Sequence[Option],
    judged: Sequence[Option],
    raw: Option | None,
    evaluator: Evaluator,
) -> _Race:
    """Time everything, and then in fresh loads what may ship and what it has to beat."""
    recipe, track = prepared.steps.recipe, prepared.steps.track
    images, batch = _stack(prepared.samples), verdict_batch(recipe)
    reference = [raw] if raw else []
    racing = {option.name: option for option in (*options, *reference)}
    started = time.perf_counter()
    timings = race_options(list(racing.values()), images, recipe, track)
    seconds = time.perf_counter() - started
    rivals = list_rivals(recipe, judged, timings, evaluator.found, batch)
    # One in bfloat16 may turn out to be no rival, which lets another in.
    while unknown := [one for one in rivals if one.hint != "f32" and not evaluator.knows(one)]:
        evaluator.add(unknown)
        rivals = list_rivals(recipe, judged, timings, evaluator.found, batch)
    finalists = list_finalists(recipe, judged, timings, evaluator.found, batch)
    started = time.perf_counter()
    timings = judge_options(timings, [*finalists, *reference], images, recipe, track)
    return _Race(timings, seconds + time.perf_counter() - started, rivals)


def _load(race: _Race) -> float | None:
    return race.timings.other_load_pct if race.timings else None


def _choose(
    recipe: Recipe,
    judged: Sequence[Option],
    timings: BenchmarkResult | None,
    evaluator: Evaluator,
) -> tuple[Option | None, Option | None]:
    """What may ship in the precision that was asked for, and the float that may."""
    batch, budget = verdict_batch(recipe), recipe.evaluate.max_drop_pp
    best_float = choose_float(recipe, judged, timings, evaluator.found, batch)
    while best_float and not evaluator.knows(best_float):
        evaluator.add([best_float])
        best_float = choose_float(recipe, judged, timings, evaluator.found, batch)
    if recipe.precision == "fp32":  # one float is shipped, and the report is about it
        return best_float, best_float
    chosen = choose_option(judged, recipe.precision, timings, evaluator.found, budget, batch)
    return chosen, best_float


def _not_replaced(options: Sequence[Option], evaluator: Evaluator) -> list[Option]:
    """Without what missed the budget and has a fallback: half of the images may excuse it."""
    gone = {option.name for one in evaluator.fallbacks for option in one.replaced}
    return [option for option in options if option.name not in gone]


def verdict_batch(recipe: Recipe) -> int:
    """The batch size that decides: 1, or the smallest timed."""
    return min(recipe.benchmark.batches)


def _stack(samples: Images) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.concatenate(samples.load())

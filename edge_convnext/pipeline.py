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

from edge_convnext.artifacts import CpuRuntimeName, Precision
from edge_convnext.benchmark import BenchmarkResult
from edge_convnext.budget import Fallback, hold_budget
from edge_convnext.cache import Cache, default_cache_folder
from edge_convnext.gpu_graphs import (
    EngineBuild,
    GpuGraphs,
    build_engines,
    list_gpu_options,
)
from edge_convnext.graphs import Graphs, list_options, raw_reference
from edge_convnext.inputs import DEMO_BANNER, Inputs, is_demo
from edge_convnext.measure import (
    Evaluation,
    Option,
    choose_float,
    choose_option,
    evaluate_options,
    race_options,
)
from edge_convnext.prepare import Prepared, prepare
from edge_convnext.progress import Track, untracked
from edge_convnext.recipe import Recipe, TargetName
from edge_convnext.step import Images

if TYPE_CHECKING:
    from edge_convnext.report import Report

__all__ = ["DEMO_BANNER", "Outcome", "build", "is_demo"]


@dataclass(frozen=True)
class Outcome:
    """Everything one build made and measured, before it becomes a report."""

    recipe: Recipe
    inputs: Inputs
    machine: Mapping[str, Any]  # doctor.environment()
    targets: tuple[TargetName, ...]
    graphs: Graphs
    unrecovered: str | None  # why no graph was fine-tuned
    gpu_graphs: GpuGraphs
    gpu_options: Sequence[Option]  # evaluated in ONNX Runtime, and never raced
    engines: Sequence[EngineBuild]
    options: Sequence[Option]  # evaluated, and raced if there are timings
    raw: Option | None
    evaluation: Evaluation | None
    fallbacks: Sequence[Fallback]
    timings: BenchmarkResult | None
    timing_seconds: float
    chosen: Option | None  # of the requested precision
    best_float: Option | None  # in whichever runtime is fastest


def build(
    recipe: Recipe,
    out: Path | None = None,
    *,
    require: Precision | None = None,
    cache: Cache | None = None,
    track: Track = untracked,
    on_read: Callable[[Inputs], None] | None = None,
) -> Report:
    """Run the whole chain and write its artefacts and report.

    Args:
        recipe: What to build (`recipe.load_recipe`).
        out: Folder to write; None is `build/<model>-<precision>`.
        require: The precision that the verdict must be for `report.verdict.passed`.
        cache: Finished stages; None is the user's cache folder.
        track: Told of work that takes long.
        on_read: Told what was read, and who decided each setting, before any work is done.

    Returns:
        The report, as written to `report.json`.

    Raises:
        EdgeConvNextError: In one line, what is wrong and what to do; nothing is written then.
    """
    from edge_convnext.publish import check_writable, publish

    folder = out or Path("build") / f"{recipe.model.removeprefix('convnextv2_')}-{recipe.precision}"
    check_writable(folder)
    store = cache or Cache(default_cache_folder(os.environ))
    with store.guarded():
        return publish(run_chain(recipe, store, track, on_read), folder, require)


def run_chain(
    recipe: Recipe,
    cache: Cache,
    track: Track,
    on_read: Callable[[Inputs], None] | None = None,
) -> Outcome:
    """Run every stage; nothing outside the cache is written."""
    from edge_convnext.doctor import environment

    machine = environment()
    fingerprint = machine["fingerprint"]
    versions = machine["versions"]
    prepared = prepare(recipe, cache, versions, track, machine=fingerprint, on_read=on_read)
    return measure_prepared(prepared, machine)


def measure_prepared(prepared: Prepared, machine: Mapping[str, Any]) -> Outcome:
    """Evaluate what was prepared, build the engines, and race."""
    recipe, steps, inputs = prepared.steps.recipe, prepared.steps, prepared.inputs
    targets, runtimes, samples = prepared.targets, prepared.runtimes, prepared.samples
    graphs = prepared.graphs
    options = list_options(recipe, graphs, runtimes, has_bf16(runtimes))
    for_gpu = list_gpu_options(recipe, prepared.gpu_graphs.made, alone=not runtimes)
    evaluation: Evaluation | None = None
    fallbacks: list[Fallback] = []
    further: list[Option] = []  # of fallbacks
    any_ships = recipe.precision == "fp32"  # whichever float form is fastest
    shippable = [option for option in options if option.may_ship or any_ships] + for_gpu
    if inputs.evaluation is not None:
        evaluate = partial(
            evaluate_options,
            weights=inputs.weights,
            images=inputs.evaluation,
            steps=steps,
            machine=machine["fingerprint"],
        )
        evaluation = evaluate(shippable)
        if recipe.evaluate.fallback and recipe.precision == "int8":
            fallbacks = hold_budget(steps, graphs, options, evaluation, evaluate, samples)
            further += [option for one in fallbacks for option in one.options]
            if further:
                options += further
                evaluation = evaluate([*shippable, *further]).joined(evaluation)
    engines = build_engines(steps, prepared.gpu_graphs, targets)
    raw = raw_reference(graphs)
    timings, timing_seconds = None, 0.0
    if runtimes:
        racing = {option.name: option for option in (*options, *([raw] if raw else []))}
        started = time.perf_counter()
        timings = race_options(list(racing.values()), _stack(samples), recipe, steps.track)
        timing_seconds = time.perf_counter() - started

    batch = verdict_batch(recipe)
    budget = recipe.evaluate.max_drop_pp
    judged = options if runtimes else for_gpu  # a race decides, where there is one
    best_float = choose_float(recipe, judged, timings, evaluation, batch)
    evaluated = [*shippable, *further]
    while evaluation is not None and best_float and best_float.name not in evaluation.options:
        evaluated.append(best_float)
        evaluation = evaluate(evaluated).joined(evaluation)
        best_float = choose_float(recipe, judged, timings, evaluation, batch)
    if recipe.precision == "fp32":  # one float is shipped, and the report is about it
        chosen = best_float
    else:
        chosen = choose_option(judged, recipe.precision, timings, evaluation, budget, batch)
    return Outcome(
        recipe, inputs, machine, targets, graphs, prepared.unrecovered, prepared.gpu_graphs,
        for_gpu, engines, options, raw, evaluation, fallbacks, timings, timing_seconds, chosen,
        best_float,
    )  # fmt: skip


def verdict_batch(recipe: Recipe) -> int:
    """The batch size that decides: 1, or the smallest timed."""
    return min(recipe.benchmark.batches)


def has_bf16(runtimes: Sequence[CpuRuntimeName]) -> bool:
    """Whether one of the runtimes may compute floats in bfloat16 on this CPU."""
    if "openvino" not in runtimes:
        return False
    from edge_convnext.runtimes.ov import supports_bf16

    return supports_bf16()


def _stack(samples: Images) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.concatenate(samples.load())

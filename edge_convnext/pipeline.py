"""The chain: load, fold, export, simplify, quantize, recover, engine, evaluate, benchmark, report.

The only module that knows the order of the stages, the cache and the environment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.artifacts import CpuRuntimeName, Precision
from edge_convnext.benchmark import BenchmarkResult
from edge_convnext.budget import Fallback, hold_budget, rank_plan
from edge_convnext.cache import Cache, default_cache_folder
from edge_convnext.data import ImageSet, Sample, draw_calibration
from edge_convnext.errors import (
    ArtifactError,
    MissingDependencyError,
    RecipeError,
)
from edge_convnext.gpu_graphs import (
    EngineBuild,
    GpuGraphs,
    build_engines,
    list_gpu_options,
    make_gpu_graphs,
)
from edge_convnext.graphs import Graphs, list_options, make_graphs, raw_reference
from edge_convnext.inputs import DEMO_BANNER, Inputs, image_batches, is_demo, prepare_inputs
from edge_convnext.measure import (
    Evaluation,
    Option,
    choose_float,
    choose_option,
    evaluate_options,
    race_options,
)
from edge_convnext.progress import Track, untracked
from edge_convnext.recipe import DIGITS, Recipe, TargetName, make_recipe
from edge_convnext.sensitivity import Sensitivity
from edge_convnext.step import Images
from edge_convnext.steps import Steps
from edge_convnext.targets.rtx import check_rtx_capabilities

if TYPE_CHECKING:
    from edge_convnext.report import Report

__all__ = ["DEMO_BANNER", "Outcome", "build", "is_demo"]

_PARITY_IMAGES = 32
_FEWEST_TRAINING_IMAGES = 5  # `recover.recover` keeps a fifth apart


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
) -> Report:
    """Run the whole chain and write its artefacts and report.

    Args:
        recipe: What to build (`recipe.load_recipe`).
        out: Folder to write; None is `build/<model>-<precision>`.
        require: The precision that the verdict must be for `report.verdict.passed`.
        cache: Finished stages; None is the user's cache folder.
        track: Told of work that takes long.

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
        return publish(run_chain(recipe, store, track), folder, require)


def run_chain(recipe: Recipe, cache: Cache, track: Track) -> Outcome:
    """Run every stage; nothing outside the cache is written."""
    from edge_convnext.doctor import environment

    machine = environment()
    return _measure(prepare(recipe, cache, machine["versions"], track), machine)


def _measure(prepared: Prepared, machine: Mapping[str, Any]) -> Outcome:
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


@dataclass(frozen=True)
class Prepared:
    """Everything up to the graphs: what is left is to measure them."""

    steps: Steps
    inputs: Inputs
    targets: tuple[TargetName, ...]
    runtimes: tuple[CpuRuntimeName, ...]
    samples: Images
    graphs: Graphs
    gpu_graphs: GpuGraphs
    unrecovered: str | None  # why no graph was fine-tuned


def prepare(
    recipe: Recipe,
    cache: Cache,
    versions: dict[str, str],
    track: Track,
    *,
    fold_only: bool = False,
) -> Prepared:
    """Run the stages from load to lower; with `fold_only`, to fold."""
    recipe = _settle(recipe)
    steps = Steps(cache, recipe, versions, track)
    targets, runtimes = _choose_targets(recipe)
    if "rtx" in targets:
        check_rtx_capabilities(recipe.engine.compute_capabilities)
    inputs = prepare_inputs(recipe, cache, versions, track)
    shown = _choose_samples(inputs)
    samples, calibration = _choose_images(recipe, inputs, shown)
    if fold_only:
        folded = steps.fold(inputs.weights.value, inputs.weights.digest, samples)
        folded_alone = Graphs(folded=folded)
        return Prepared(steps, inputs, targets, runtimes, samples, folded_alone, GpuGraphs(), None)
    training, unrecovered = _choose_training(recipe, inputs, shown)
    if unrecovered is None and not runtimes:
        unrecovered = "only graphs for the CPU are fine-tuned, and cpu is not among the targets"
    graphs = make_graphs(steps, inputs, runtimes, samples, calibration, training)
    weights = graphs.folded or inputs.weights
    gpu_graphs = make_gpu_graphs(steps, inputs, weights, targets, shown, calibration)
    return Prepared(steps, inputs, targets, runtimes, samples, graphs, gpu_graphs, unrecovered)


def rank_build(
    folder: Path, cache: Cache | None = None, track: Track = untracked
) -> dict[str, tuple[Sensitivity, ...]]:
    """Rank the operations of every INT8 graph of a finished build by what they cost.

    Args:
        folder: Of the build; its recipe is read from `report.json`, and stages that are no
            longer in the cache run again.
        cache: Finished stages; None is the user's cache folder.
        track: Told of work that takes long.

    Returns:
        By plan, such as `conv.inner`.

    Raises:
        ArtifactError: There is no report, the build has no INT8 graph, was changed since, or
            can't be made again.
    """
    from edge_convnext.doctor import environment
    from edge_convnext.publish import check_addable

    report, recipe = _read_int8_build(folder)
    check_addable(folder, report)  # now, not after minutes of work
    store = cache or Cache(default_cache_folder(os.environ))
    with store.guarded():
        prepared = prepare(recipe, store, environment()["versions"], track)
        return _rank_graphs(folder, report, prepared)


def _rank_graphs(
    folder: Path, report: Report, prepared: Prepared
) -> dict[str, tuple[Sensitivity, ...]]:
    if not prepared.graphs.quantized:
        raise ArtifactError(
            f"{folder}: has graphs for GPUs alone, and those for the CPU are ranked; "
            "build with --target cpu as well"
        )
    known = {one.artifact.sha256 for one in report.stage("quantize").variants if one.artifact}
    for plan, graph in prepared.graphs.quantized.items():
        if graph.digest not in known:
            raise ArtifactError(
                f"{folder}: the INT8 graph {plan.label} came out otherwise than in the report, "
                "with other tool versions or data; build again first"
            )
    return {
        plan.label: rank_plan(prepared.steps, prepared.graphs, plan, prepared.samples)
        for plan in prepared.graphs.quantized
    }


def recover_build(
    folder: Path,
    overrides: Mapping[str, Any] | None = None,
    out: Path | None = None,
    *,
    cache: Cache | None = None,
    track: Track = untracked,
) -> Report:
    """Build a finished INT8 build again, with its graphs fine-tuned.

    Args:
        folder: Of the build; its recipe is read from `report.json`, and stages that are no
            longer in the cache run again.
        overrides: Dotted field to value, on top of that recipe.
        out: Folder to write; None replaces the build.
        cache: Finished stages; None is the user's cache folder.
        track: Told of work that takes long.

    Returns:
        The report; `recoveries` has what fine-tuning did to each graph.

    Raises:
        ArtifactError: There is no report, the build is not of INT8, or it has no images to
            train with.
        EdgeConvNextError: As of `build`; nothing is written then.
    """
    from edge_convnext.doctor import environment
    from edge_convnext.publish import check_writable, publish

    _, recipe = _read_int8_build(folder, {**(overrides or {}), "recover.enabled": True})
    check_writable(out or folder)
    machine = environment()
    store = cache or Cache(default_cache_folder(os.environ))
    with store.guarded():
        prepared = prepare(recipe, store, machine["versions"], track)
        if prepared.unrecovered is not None:  # what was asked for, and not one wish among others
            raise ArtifactError(f"{folder}: {prepared.unrecovered}")
        return publish(_measure(prepared, machine), out or folder, None)


def _read_int8_build(
    folder: Path, overrides: Mapping[str, Any] | None = None
) -> tuple[Report, Recipe]:
    """The report of a finished INT8 build, and the recipe that makes it again."""
    from edge_convnext.report import Report

    path = folder / "report.json"
    report = Report.read(path)
    recipe = make_recipe(report.stated_recipe or report.recipe, str(path), overrides)
    if recipe.precision != "int8":
        raise ArtifactError(f"{folder}: is a build of {recipe.precision}; pass one of INT8")
    _require_files(folder, recipe)
    return report, recipe


def verdict_batch(recipe: Recipe) -> int:
    """The batch size that decides: 1, or the smallest timed."""
    return min(recipe.benchmark.batches)


def _settle(recipe: Recipe) -> Recipe:
    """Refuse what contradicts itself before any work is done; time a fixed batch as it is."""
    form, fixed, timed = recipe.export.form, recipe.export.batch, recipe.benchmark.batches
    if not recipe.fold.enabled and form not in ("auto", "raw"):
        raise RecipeError(
            f"the form '{form}' is written on folded weights: "
            "leave out --no-fold, or pass --form raw"
        )
    if fixed == "dynamic" or timed == (fixed,):
        return recipe
    if "batches" in recipe.benchmark.model_fields_set:
        raise RecipeError(
            f"a graph of batch {fixed} can't be timed at batch {', '.join(map(str, timed))}: "
            f"pass --batch {fixed} alone, or leave out --export-batch"
        )
    timing = recipe.benchmark.model_copy(update={"batches": (fixed,)})
    return recipe.model_copy(update={"benchmark": timing})


def _choose_targets(recipe: Recipe) -> tuple[tuple[TargetName, ...], tuple[CpuRuntimeName, ...]]:
    from edge_convnext.runtimes import available_runtimes

    targets: tuple[TargetName, ...]
    targets = ("cpu", "rtx") if recipe.targets == "auto" else recipe.targets
    if "cpu" not in targets:
        return targets, ()
    if recipe.runtime == "auto":
        return targets, available_runtimes()
    if recipe.runtime not in available_runtimes():
        package = "edge-convnext[openvino]" if recipe.runtime == "openvino" else recipe.runtime
        raise MissingDependencyError(
            f"the runtime {recipe.runtime} is not installed: pip install '{package}'"
        )
    return targets, (recipe.runtime,)


def _require_files(folder: Path, recipe: Recipe) -> None:
    """Refuse a recorded recipe of which files are gone, and say how to name them anew."""
    for flag, stated in (("--weights", recipe.load.weights), ("--data", recipe.data.source)):
        known = stated is None or stated in (DIGITS, "random") or stated.startswith("in1k")
        if not known and not Path(str(stated)).exists():
            raise ArtifactError(
                f"{folder}: was built from {stated}, which is not here; pass {flag}, or run "
                "where the build ran"
            )


def _choose_samples(inputs: Inputs) -> list[Sample]:
    """Real images for parity checks and timings."""
    pool: Sequence[Sample] = ()
    step = 1
    if inputs.calibration is not None:
        # Any beginning of the draw mixes the classes, and is the same whatever its size.
        pool = inputs.calibration.images.samples
    elif inputs.splits is not None:
        pool = inputs.splits.val.samples
        step = max(1, len(pool) // _PARITY_IMAGES)  # this one is ordered by class
    return list(islice(pool[::step], _PARITY_IMAGES))


def _choose_images(
    recipe: Recipe, inputs: Inputs, shown: Sequence[Sample]
) -> tuple[Images, Images | None]:
    """The images of the parity checks, and the calibration images."""
    fixed = None if recipe.export.batch == "dynamic" else recipe.export.batch
    samples = image_batches(shown, inputs.info, fixed)
    if inputs.calibration is None or recipe.precision != "int8":
        return samples, None
    return samples, image_batches(inputs.calibration.images.samples, inputs.info, fixed)


def _choose_training(
    recipe: Recipe, inputs: Inputs, shown: Sequence[Sample]
) -> tuple[Images | None, str | None]:
    """Images to fine-tune with, in one batch, or why there are none.

    Those of the parity checks are left out, so that what the checks say of the trained graph
    is honest; those of the evaluation side, as ever.
    """
    if recipe.precision != "int8":
        return None, f"the precision is {recipe.precision}"
    if not recipe.recover.enabled:
        return None, "not asked for (--recover)"
    splits = inputs.splits
    if inputs.borrowed or splits is None:
        return None, "no training images: no labelled images were given (--data)"
    if splits.train is None:
        return None, f"no training images: {recipe.data.source} has an evaluation side alone"
    barred = ImageSet((*splits.val.samples, *shown), splits.val.classes)
    left = len({sample.sha256 for sample in splits.train.samples} - barred.hashes)
    if left < _FEWEST_TRAINING_IMAGES:
        return None, (
            f"no training images: besides the {len(shown)} of the parity checks, the training "
            f"side has {left}, and at least {_FEWEST_TRAINING_IMAGES} are needed"
        )
    drawn = draw_calibration(splits.train, barred, recipe.recover.images, recipe.seed)
    samples = drawn.images.samples
    return image_batches(samples, inputs.info, len(samples)), None


def has_bf16(runtimes: Sequence[CpuRuntimeName]) -> bool:
    """Whether one of the runtimes may compute floats in bfloat16 on this CPU."""
    if "openvino" not in runtimes:
        return False
    from edge_convnext.runtimes.ov import supports_bf16

    return supports_bf16()


def _stack(samples: Images) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.concatenate(samples.load())

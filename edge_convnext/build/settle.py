"""The first half of the chain: settle the recipe, read the inputs, and make the graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

from edge_convnext.build.float_chain import fold_step
from edge_convnext.build.float_forms import rival_forms
from edge_convnext.build.graphs import Graphs, add_gpu_graphs, make_graphs
from edge_convnext.build.inputs import Inputs, prepare_inputs
from edge_convnext.build.lanes import Part, SecondLane, Work
from edge_convnext.build.lineage import Chosen
from edge_convnext.build.runner import Runner
from edge_convnext.build.slow_forms import list_slow_forms, tell_slow_forms
from edge_convnext.core.artifacts import CpuRuntimeName
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.progress import Track
from edge_convnext.core.recipe import Recipe, TargetName
from edge_convnext.core.step import Images, Skipped
from edge_convnext.data.batches import image_batches
from edge_convnext.data.calibration import draw_calibration
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.devices.catalog.rtx import check_rtx_capabilities
from edge_convnext.graph.file import fixed_batch
from edge_convnext.networks.arm_plans import needs_arm_plan
from edge_convnext.networks.family import family_of, family_of_model
from edge_convnext.runtimes.load import available_runtimes, require_runtime
from edge_convnext.stages import recover

__all__ = ["Prepared", "choose_shown", "make_work", "prepare", "settle_recipe"]


ChoosePlans: TypeAlias = Callable[[Runner, Inputs, Sequence[CpuRuntimeName], Images], Chosen]

_PARITY_IMAGES = 32
_FEWEST_TRAINING_IMAGES = 5  # `recover.recover` keeps a fifth apart


@dataclass(frozen=True)
class Prepared:
    """The result of the first half of the chain: graphs that are ready to be measured."""

    runner: Runner
    inputs: Inputs
    targets: tuple[TargetName, ...]
    runtimes: tuple[CpuRuntimeName, ...]
    samples: Images
    graphs: Graphs
    unrecovered: str | None  # the reason that no graph was fine-tuned


def prepare(
    recipe: Recipe,
    cache: Cache,
    versions: dict[str, str],
    track: Track,
    *,
    fold_only: bool = False,
    machine: str | None = None,
    on_read: Callable[[Inputs], None] | None = None,
    choose: ChoosePlans | None = None,
) -> Prepared:
    """Run the stages from load to the graphs of each target; with `fold_only`, to fold.

    `machine` and `on_read` are `inputs.prepare_inputs`'s. `choose` finds the plans that nobody
    stated, from real images, and says what it did (`quick_race`).
    """
    recipe, targets, runtimes = settle_recipe(recipe)
    runner = Runner(cache, recipe, versions, track)
    with SecondLane() as lane:

        def on_inputs(inputs: Inputs) -> None:
            if on_read is not None:
                on_read(inputs)
            if not fold_only:
                lane.get_ready(recipe, inputs.weights)

        inputs = prepare_inputs(recipe, cache, versions, track, machine=machine, on_read=on_inputs)
        runner = runner.with_recipe(_settle_batch(recipe, inputs))
        shown = _choose_samples(inputs)
        samples, calibration = _choose_images(runner.recipe, inputs, shown)
        if fold_only:
            folds = family_of_model(recipe.model).folds
            folded = fold_step(runner, inputs.weights, samples) if folds else None
            return Prepared(runner, inputs, targets, runtimes, samples, Graphs(folded), None)
        work = _plan_work(
            runner, inputs, targets, runtimes, shown, samples, calibration, machine, choose
        )
        runner = runner.with_recipe(work.recipe)
        lane.fill_cache(runner, work, make_work)
    graphs = make_work(runner, work)
    training = work.training
    unrecovered = training.reason if isinstance(training, Skipped) else _why_untrained(graphs)
    return Prepared(runner, work.inputs, targets, runtimes, samples, graphs, unrecovered)


def _plan_work(
    runner: Runner,
    inputs: Inputs,
    targets: tuple[TargetName, ...],
    runtimes: tuple[CpuRuntimeName, ...],
    shown: Sequence[Sample],
    samples: Images,
    calibration: Images | None,
    machine: str | None,
    choose: ChoosePlans | None,
) -> Work:
    """Choose the plans that nobody stated, and the forms that are worth making."""
    recipe = runner.recipe
    training = _choose_training(recipe, inputs, shown)
    for_arm = needs_arm_plan(recipe, targets, runtimes)
    if not isinstance(training, Skipped) and not (runtimes or for_arm):
        reason = "only graphs for the CPU are fine-tuned, and cpu is not among the targets"
        training = Skipped(recover.STAGE, reason)
    chosen = choose(runner, inputs, runtimes, samples) if choose else Chosen(recipe)
    rivals = rival_forms(chosen.recipe, runtimes)
    own = runner.with_recipe(chosen.recipe)
    slow = list_slow_forms(own, inputs.info, rivals, runtimes, machine) if machine else ()
    told = [tell_slow_forms(slow)] if slow else []
    inputs = replace(inputs, notes=(*inputs.notes, *chosen.notes, *told))
    return Work(
        chosen.recipe, inputs, targets, runtimes, tuple(shown), samples, calibration, training,
        begun=chosen.begun, without=tuple(one.form for one in slow),
        for_arm=needs_arm_plan(chosen.recipe, targets, runtimes),
    )  # fmt: skip


def make_work(runner: Runner, work: Work, part: Part | None = None) -> Graphs:
    """Make the graphs of a build, or take them from the cache.

    Args:
        runner: Runner of this build, or of a lane of it.
        work: Everything that they are made from.
        part: Part to make; None makes all.
    """
    graphs = make_graphs(
        runner, work.inputs, work.runtimes, work.samples, work.calibration, work.training,
        begun=work.begun, without=work.without, for_arm=work.for_arm,
        only=None if part is None else part.forms,
    )  # fmt: skip
    if part is None or part.gpu:
        add_gpu_graphs(runner, work.inputs, graphs, work.targets, work.shown, work.calibration)
    return graphs


def _why_untrained(graphs: Graphs) -> str | None:
    """Why none of the graphs was fine-tuned; None where one was, or there is none."""
    skipped = [
        step.reason
        for lineage in graphs.quantized
        for step in lineage.skipped
        if step.stage == recover.STAGE
    ]
    return skipped[0] if skipped and len(skipped) == len(graphs.quantized) else None


def settle_recipe(
    recipe: Recipe,
) -> tuple[Recipe, tuple[TargetName, ...], tuple[CpuRuntimeName, ...]]:
    """Check a recipe before weights and data are read; return it with targets and CPU runtimes.

    Raises:
        RecipeError: Two values of the recipe contradict each other.
        MissingDependencyError: A runtime that it names is not installed.
    """
    settled = _settle(recipe)
    targets, runtimes = _choose_targets(settled)
    if "rtx" in targets:
        check_rtx_capabilities(settled.engine.compute_capabilities)
    return settled, targets, runtimes


def _settle(recipe: Recipe) -> Recipe:
    """Refuse contradicting values before any work; a fixed batch size is the one that is timed."""
    form, fixed, timed = recipe.export.form, recipe.export.batch, recipe.benchmark.batches
    folds = family_of_model(recipe.model).folds
    if folds and not recipe.fold.enabled and form not in ("auto", "raw"):
        raise RecipeError(
            f"the form '{form}' is written on folded weights: "
            "leave out --no-fold, or pass --form raw"
        )
    stated = recipe.quantize
    if stated.symmetric_ranges and family_of_model(recipe.model).placer == "roles":
        raise RecipeError(
            f"the ranges of {recipe.model} are not NNCF's, and "
            f"'{stated.activations_range_estimator}' is (percentile stands for mean_quantile): "
            "pass --calibration-method reconstruction or minmax"
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


def _settle_batch(recipe: Recipe, inputs: Inputs) -> Recipe:
    """A user's own graph may allow batches of one size alone."""
    weights = inputs.weights.value
    if family_of(weights).source_graph(weights) is None or recipe.export.batch != "dynamic":
        return recipe
    if (only := fixed_batch(weights.path)) is None:
        return recipe
    export = recipe.export.model_copy(update={"batch": only})
    return _settle(recipe.model_copy(update={"export": export}))


def _choose_targets(recipe: Recipe) -> tuple[tuple[TargetName, ...], tuple[CpuRuntimeName, ...]]:
    targets: tuple[TargetName, ...]
    usual: tuple[TargetName, ...] = ("cpu",) if _is_quick(recipe) else ("cpu", "rtx")
    targets = usual if recipe.targets == "auto" else recipe.targets
    if "cpu" not in targets:
        return targets, ()
    if recipe.runtime == "auto":
        return targets, available_runtimes()
    return targets, (require_runtime(recipe.runtime),)


def _is_quick(recipe: Recipe) -> bool:
    return recipe.benchmark.scope == "decision"


def choose_shown(recipe: Recipe, inputs: Inputs) -> tuple[Recipe, Images, Images | None]:
    """The recipe as these inputs settle it, the images of parity checks, and those of calibration.

    Args:
        recipe: Recipe from `settle_recipe`.
        inputs: Weights and images that were read.
    """
    own = _settle_batch(recipe, inputs)
    return own, *_choose_images(own, inputs, _choose_samples(inputs))


def _choose_samples(inputs: Inputs) -> list[Sample]:
    """Real images for parity checks and timings."""
    pool: Sequence[Sample] = ()
    step = 1
    if inputs.calibration is not None:
        # The first images of the draw mix the classes, and do not depend on the draw's size.
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


def _choose_training(recipe: Recipe, inputs: Inputs, shown: Sequence[Sample]) -> Images | Skipped:
    """The images to fine-tune with, in one batch, or the reason that there are none.

    Images of the parity checks are left out, so that the checks of the trained graph are honest.
    So are evaluation images.
    """
    if recipe.precision != "int8":
        return Skipped(recover.STAGE, f"the precision is {recipe.precision}")
    if not recipe.recover.enabled:
        return Skipped(recover.STAGE, "not asked for (--recover)")
    splits = inputs.splits
    if inputs.borrowed or splits is None:
        return Skipped(recover.STAGE, "no training images: no labelled images were given (--data)")
    if splits.train is None:
        return Skipped(
            recover.STAGE,
            f"no training images: {recipe.data.source} has an evaluation side alone",
        )
    barred = ImageSet((*splits.val.samples, *shown), splits.val.classes)
    left = len({sample.sha256 for sample in splits.train.samples} - barred.hashes)
    if left < _FEWEST_TRAINING_IMAGES:
        return Skipped(
            recover.STAGE,
            f"no training images: besides the {len(shown)} of the parity checks, the training "
            f"side has {left}, and at least {_FEWEST_TRAINING_IMAGES} are needed",
        )
    drawn = draw_calibration(splits.train, barred, recipe.recover.images, recipe.seed)
    samples = drawn.images.samples
    return image_batches(samples, inputs.info, len(samples))

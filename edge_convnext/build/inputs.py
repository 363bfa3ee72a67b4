"""The inputs of a build: weights, an evaluation set, a calibration set.

Each setting comes from the recipe if it states one, else from the checkpoint if it has one, else
from the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_convnext.build.reading import (
    load_checkpoint,
    name_by_file,
    name_classes,
    split_data,
    train_demo,
)
from edge_convnext.core.artifacts import ModelInfo, Preprocess, Weights
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import DataError, RecipeError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.origins import Fact
from edge_convnext.core.progress import Track, tell
from edge_convnext.core.recipe import DIGITS, RANDOM, Recipe
from edge_convnext.core.step import Step
from edge_convnext.data.batches import Look
from edge_convnext.data.calibration import (
    CalibrationSet,
    check_explicit_calibration,
    draw_calibration,
    load_calibration,
    tell_calibration,
)
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.noise import NOISE
from edge_convnext.data.scan import bad_images, scan_images
from edge_convnext.data.splits import Splits, drop_bad_images, see_images
from edge_convnext.measure.alternatives import Way
from edge_convnext.measure.answers import Answer, answer_with_torch, remembering
from edge_convnext.measure.class_order import order_by_images
from edge_convnext.measure.held import Held, hold_against_chance
from edge_convnext.measure.settings import note_defaults, settle
from edge_convnext.measure.suggest import suggester
from edge_convnext.networks.onnx_file.find import find_own_graph
from edge_convnext.networks.stated_weights import check_weights_file

__all__ = [
    "DEMO_BANNER",
    "Inputs",
    "find_calibration",
    "is_demo",
    "prepare_inputs",
]

DEMO_BANNER = (
    "demo: a model trained here on scikit-learn's handwritten digits. For your own: "
    "edge-convnext build --model atto --weights FILE --data DIR"
)


@dataclass(frozen=True)
class Inputs:
    """Everything that the chain reads; `evaluation` is None without labelled images."""

    weights: Step[Weights]
    evaluation: ImageSet | None
    calibration: CalibrationSet | None
    splits: Splits | None
    demo: bool
    random: bool  # random weights: only speed can be measured
    borrowed: bool  # no data was given: parity checks and timings use digits or noise
    skipped_images: int  # unreadable images, left out on request
    settings: tuple[Fact, ...] = ()  # each with the source that decided it
    notes: tuple[str, ...] = ()  # sentences on what was read, was guessed, or looks wrong

    @property
    def info(self) -> ModelInfo:
        """The facts on the weights, with class names and preprocessing resolved."""
        return self.weights.value.info


def is_demo(recipe: Recipe) -> bool:
    """Whether the recipe trains its own model on the bundled digits."""
    return recipe.load.weights is None and recipe.data.source == DIGITS


def prepare_inputs(
    recipe: Recipe,
    cache: Cache,
    versions: dict[str, str],
    track: Track,
    *,
    machine: str | None = None,
    on_read: Callable[[Inputs], None] | None = None,
) -> Inputs:
    """Find, check and split the data, and load (or, for the demo, train) the weights.

    A float model that is no better than guessing on the evaluation images is refused.

    Args:
        recipe: Recipe of the build.
        cache: Cache of finished stages.
        versions: Versions of the tools, by package.
        track: Shows work that takes long.
        machine: Fingerprint of this machine; None looks it up.
        on_read: Called with what was read, before the model is checked against guessing.

    Raises:
        RecipeError: Neither weights nor the demo, or INT8 without calibration images.
        DataError: The data can't be used, or nothing tells the order of the classes.
        LoadError: The weights can't be loaded, or the model is no better than guessing.
    """
    stated, demo = recipe.load.weights, is_demo(recipe)
    random = stated == RANDOM
    if stated is not None:
        check_weights_file(stated)  # first: quick to check, and easy for the user to correct
    borrowed = not demo and recipe.data.source is None and recipe.data.calibration is None
    own_graph = not demo and find_own_graph(stated) is not None
    if borrowed and recipe.precision == "int8" and stated and not (random or own_graph):
        raise RecipeError(
            "INT8 needs calibration images: pass --data DIR (labelled) or --calibration DIR"
        )
    if demo:
        splits = split_data(recipe, DIGITS, None, cache, track)
        assert splits is not None  # the digits are a source
        weights = train_demo(recipe, splits, cache, versions, track)
    elif stated is not None:
        weights = load_checkpoint(recipe, stated, cache, versions)
        if recipe.data.source is None:
            named = name_by_file(weights.value, recipe.data.labels)
            weights = replace(weights, value=named)
        stand_in = NOISE if own_graph else DIGITS
        source = stand_in if borrowed else recipe.data.source
        own_info = None if random or borrowed else weights.value.info
        splits = split_data(recipe, source, own_info, cache, track)
    else:
        raise RecipeError(
            "no weights: pass --weights FILE (or in1k, or random), "
            "or train some with `edge-convnext train`"
        )
    judge_by = _answers(recipe, weights, cache, versions, track, machine)
    own = splits if not random and not borrowed else None  # labelled, for this model
    if own is not None:
        if own.other_orders:
            source = str(recipe.data.source)
            suggest = suggester(weights.value, judge_by, recipe.seed)
            own = order_by_images(weights.value.info, own, judge_by, source, recipe.seed, suggest)
        weights, splits = name_classes(weights, own), own
    evaluation = own.val if own is not None else None
    look = partial(scan_images, cache=cache, track=track)
    calibration, skipped = find_calibration(recipe, splits, evaluation, look, track)
    skipped += len(splits.skipped) if splits else 0
    settings, notes = _read(recipe, weights.value, own, demo)
    if calibration is not None and recipe.precision == "int8" and not borrowed:
        notes += calibration.notes
    read = Inputs(
        weights, evaluation, calibration, splits, demo, random, borrowed, skipped, settings, notes
    )
    if on_read is not None:
        on_read(read)
    held = _hold(recipe, read, judge_by, track)
    return replace(read, notes=(*notes, *held.notes))


def _read(
    recipe: Recipe, weights: Weights, splits: Splits | None, demo: bool
) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    settings, contradictions = settle(recipe, weights.info, weights.facts, splits)
    notes = [
        *filter(None, [recipe.note]),
        *weights.notes,
        *(splits.notes if splits else ()),
        *contradictions,
    ]
    if not demo and weights.info.weights_source != RANDOM:
        notes += note_defaults(settings)
    return settings, tuple(dict.fromkeys(notes))


def _hold(recipe: Recipe, read: Inputs, answer: Answer, track: Track) -> Held:
    """Check the model against guessing and tell what is doubtful; or say why that is not done."""
    if read.demo:
        return Held()  # trained here, on these classes
    if read.random:
        return Held(("The weights are random: nothing was held against guessing.",))
    if read.evaluation is None:
        return Held(
            ("No labelled images: whether the model is better than guessing was not checked.",)
        )
    held = hold_against_chance(
        read.weights.value, read.evaluation, recipe, read.settings, answer, track=track
    )
    for note in held.notes:  # before the work, which takes minutes
        tell(track, note)
    return held


def _answers(
    recipe: Recipe,
    weights: Step[Weights],
    cache: Cache,
    versions: dict[str, str],
    track: Track,
    machine: str | None,
) -> Answer:
    """Answers of the float model, from the cache entries that the evaluation's reference uses.

    Images that were asked for before are not run again, even where only some of them were.
    """
    threads = recipe.benchmark.threads
    otherwise = answer_with_torch(weights.value, recipe.evaluate.batch, threads)

    def run(images: ImageSet, way: Way | None) -> NDArray[np.int64]:
        from edge_convnext.build.compare import evaluate_options
        from edge_convnext.build.runner import Runner
        from edge_convnext.devices.doctor import environment

        place = machine or environment()["fingerprint"]
        runner = Runner(cache, recipe, versions, track)
        asked = weights if way is None else _prepared_as(weights, way[0])
        prepared = "" if way is None else ", prepared otherwise"
        logits = evaluate_options((), asked, images, runner, place, prepared).reference.logits
        answers: NDArray[np.int64] = logits.argmax(axis=1).astype(np.int64)
        return answers

    once = remembering(run, weights.value.info.preprocess)
    return lambda images, way: (otherwise if way is not None and way[1] else once)(images, way)


def _prepared_as(weights: Step[Weights], preprocess: Preprocess) -> Step[Weights]:
    info = replace(weights.value.info, preprocess=preprocess)
    return replace(weights, value=replace(weights.value, info=info))


def find_calibration(
    recipe: Recipe,
    splits: Splits | None,
    evaluation: ImageSet | None,
    look: Callable[[Sequence[Sample]], Mapping[str, Look]],
    track: Track,
    sha256: Callable[[Path], str] = sha256_file,
) -> tuple[CalibrationSet | None, int]:
    """Find the calibration set, and count the bad images of an explicit source.

    Args:
        recipe: Recipe that names the source; without one, images are drawn from the training side.
        splits: Labelled data of the build; None without any.
        evaluation: Images that must not calibrate: the evaluation side of the model's own data.
        look: Decodes images; those that it leaves out are compared by their bytes.
        track: Shows the files that are hashed.
        sha256: Function that hashes one file.

    Returns:
        The set and the count; None in place of a set that is neither needed nor there.

    Raises:
        DataError: INT8 has no training side to draw from, or the set has evaluation images.
    """
    size = recipe.quantize.subset_size
    if recipe.data.calibration is not None:
        source = Path(recipe.data.calibration)
        data = Path(recipe.data.source) if recipe.data.source else None
        skip = recipe.data.skip_bad_images
        images, unread = load_calibration(source, data, skip, track, sha256)
        looks = look(images.samples)
        kept = drop_bad_images(Splits(None, images, "", unread), bad_images(looks), skip)
        kept = see_images(kept, looks)
        if evaluation is not None:
            check_explicit_calibration(kept.val, evaluation)
        if len(kept.val) <= size:  # keeps its order, so that a recorded set replays exactly
            note = f"all {len(kept.val)} images of {source.name}"
            drawn = CalibrationSet(kept.val, 0, note)
        else:
            drawn = draw_calibration(kept.val, None, size, recipe.seed)
        return tell_calibration(drawn, splits), len(kept.skipped)
    if splits is None:
        return None, 0
    if splits.train is None:
        if recipe.precision != "int8":
            return None, 0
        raise DataError(
            f"{recipe.data.source}: it has an evaluation side alone, and calibration must not "
            "see those images; pass --calibration DIR with others"
        )
    drawn = draw_calibration(splits.train, evaluation, size, recipe.seed)
    return tell_calibration(drawn, splits), 0

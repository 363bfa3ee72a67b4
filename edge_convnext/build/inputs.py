"""What a build works on: weights, an evaluation set, a calibration set.

Resolves a recipe against what the checkpoint and the data say of themselves: the recipe wins
where it states a value, the checkpoint where it carries one, the default elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from edge_convnext.core.artifacts import ModelInfo, Preprocess, Weights
from edge_convnext.core.cache import Cache, stage_key
from edge_convnext.core.errors import DataError, RecipeError, shorten_names
from edge_convnext.core.files import AnyPath, sha256_bytes, sha256_file
from edge_convnext.core.origins import Fact
from edge_convnext.core.places import require_outside
from edge_convnext.core.progress import Track
from edge_convnext.core.recipe import DIGITS, RANDOM, Recipe
from edge_convnext.core.step import Images, Step, as_step
from edge_convnext.data import (
    CalibrationSet,
    ImageSet,
    Look,
    Sample,
    Splits,
    check_explicit_calibration,
    draw_calibration,
    drop_bad_images,
    drop_leaks,
    ensure_digits,
    iter_batches,
    load_calibration,
    load_splits,
    look_at_images,
    require_training_classes,
    see_images,
    tell_calibration,
)
from edge_convnext.data.depth import tell_depth
from edge_convnext.data.preprocess import PIXELS, resolve_preprocess
from edge_convnext.data.scan import bad_images, scan_images
from edge_convnext.measure.alternatives import Way
from edge_convnext.measure.answers import Answer, answer_with_torch
from edge_convnext.measure.class_order import order_by_images
from edge_convnext.measure.held import Held, hold_against_chance
from edge_convnext.measure.settings import labels_file_of, note_defaults, settle
from edge_convnext.measure.suggest import suggester
from edge_convnext.networks.open_weights import open_weights

__all__ = [
    "DEMO_BANNER",
    "Inputs",
    "find_calibration",
    "image_batches",
    "is_demo",
    "prepare_inputs",
    "prepare_training",
    "require_classes",
    "settle_images",
    "training_settings",
]

DEMO_BANNER = (
    "demo: a model trained here on scikit-learn's handwritten digits. For your own: "
    "edge-convnext build --model atto --weights FILE --data DIR"
)
_WEIGHTS = "weights.safetensors"
_CALIBRATION_BATCH = 10


@dataclass(frozen=True)
class Inputs:
    """Everything the chain reads; `evaluation` is None when nothing is labelled."""

    weights: Step[Weights]
    evaluation: ImageSet | None
    calibration: CalibrationSet | None
    splits: Splits | None
    demo: bool
    random: bool  # weights that only speed can be measured with
    borrowed: bool  # no data given: the bundled digits serve the parity checks and timings
    skipped_images: int  # unreadable, left out on request
    settings: tuple[Fact, ...] = ()  # each with who decided it
    notes: tuple[str, ...] = ()  # sentences on what was read, guessed or looks wrong

    @property
    def info(self) -> ModelInfo:
        """Of the weights, with class names and preprocessing resolved."""
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
        recipe: What is to be built.
        cache: Finished stages.
        versions: Of the tools.
        track: Told of work that takes long.
        machine: Fingerprint; None: looked up here.
        on_read: Told what was read, before the model is held against chance.

    Raises:
        RecipeError: Neither weights nor the demo, or INT8 without calibration images.
        DataError: See `edge_convnext.data`; nothing tells the order of the classes.
        LoadError: See `edge_convnext.stages.load`; the model is no better than guessing.
    """
    stated, demo = recipe.load.weights, is_demo(recipe)
    random = stated == RANDOM
    if stated is not None:
        from edge_convnext.stages.load import check_weights_file

        check_weights_file(stated)  # before what needs more time, or more flags, to mend
    borrowed = not demo and recipe.data.source is None and recipe.data.calibration is None
    if borrowed and recipe.precision == "int8" and stated is not None and not random:
        raise RecipeError(
            "INT8 needs calibration images: pass --data DIR (labelled) or --calibration DIR"
        )
    if demo:
        splits = _load_splits(recipe, DIGITS, None, cache, track)
        assert splits is not None  # the digits are a source
        weights = _train_demo(recipe, splits, cache, versions, track)
    elif stated is not None:
        weights = _load_weights(recipe, stated, cache, versions)
        source = DIGITS if borrowed else recipe.data.source
        own_info = None if random or borrowed else weights.value.info
        splits = _load_splits(recipe, source, own_info, cache, track)
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
        weights, splits = _name_classes(weights, own), own
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
    held = _hold(recipe, read, judge_by)
    return replace(read, notes=(*notes, *held.notes))


def _read(
    recipe: Recipe, weights: Weights, splits: Splits | None, demo: bool
) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    settings, contradictions = settle(recipe, weights.info, weights.facts, splits)
    notes = [*weights.notes, *(splits.notes if splits else ()), *contradictions]
    if not demo and weights.info.weights_source != RANDOM:
        notes += note_defaults(settings)
    return settings, tuple(dict.fromkeys(notes))


def _hold(recipe: Recipe, read: Inputs, answer: Answer) -> Held:
    """Hold the model against chance, or say why not."""
    if read.demo:
        return Held()  # trained here, on these classes
    if read.random:
        return Held(("The weights are random: nothing was held against guessing.",))
    if read.evaluation is None:
        return Held(
            ("No labelled images: whether the model is better than guessing was not checked.",)
        )
    return hold_against_chance(read.weights.value, read.evaluation, recipe, read.settings, answer)


def _answers(
    recipe: Recipe,
    weights: Step[Weights],
    cache: Cache,
    versions: dict[str, str],
    track: Track,
    machine: str | None,
) -> Answer:
    """The float model's, from the same cache entries as the reference of the evaluation."""
    threads = recipe.benchmark.threads
    otherwise = answer_with_torch(weights.value, recipe.evaluate.batch, threads)

    def answer(images: ImageSet, way: Way | None) -> NDArray[np.int64]:
        if way is not None and way[1]:
            return otherwise(images, way)
        from edge_convnext.build.compare import evaluate_options
        from edge_convnext.build.runner import Runner
        from edge_convnext.devices.doctor import environment

        place = machine or environment()["fingerprint"]
        runner = Runner(cache, recipe, versions, track)
        asked = weights if way is None else _prepared_as(weights, way[0])
        logits = evaluate_options((), asked, images, runner, place).reference.logits
        answers: NDArray[np.int64] = logits.argmax(axis=1).astype(np.int64)
        return answers

    return answer


def _prepared_as(weights: Step[Weights], preprocess: Preprocess) -> Step[Weights]:
    info = replace(weights.value.info, preprocess=preprocess)
    return replace(weights, value=replace(weights.value, info=info))


def image_batches(
    samples: Sequence[Sample], info: ModelInfo, fixed_batch: int | None = None
) -> Images:
    """The images of `samples`, preprocessed, decoded once on first use.

    With a fixed batch, every batch is full: the first images fill up the last one.
    """
    batch = fixed_batch or _CALIBRATION_BATCH
    if fixed_batch is not None:
        wanted = -(-len(samples) // fixed_batch) * fixed_batch
        samples = list(islice(cycle(samples), wanted))

    @lru_cache(maxsize=1)
    def load() -> list[NDArray[np.float32]]:
        return list(iter_batches(samples, info.preprocess, batch, info.in_channels))

    content = [sample.sha256 for sample in samples]
    # Decoding and resizing are Pillow's: another version may give other pixels.
    tools = (PIXELS, PIL.__version__, np.__version__)
    text = repr((content, asdict(info.preprocess), info.in_channels, batch, tools))
    return Images(sha256_bytes(text.encode()), len(samples), load)


def prepare_training(
    recipe: Recipe, track: Track, output: AnyPath | None = None
) -> tuple[Splits, Preprocess]:
    """Read and check what `edge-convnext train` learns from.

    Args:
        recipe: Names the data.
        track: Told of work that takes long.
        output: Where the weights shall be written.

    Raises:
        ArtifactError: That is among the images.
        DataError: See `edge_convnext.data`.
    """
    if recipe.data.source is None:
        raise RecipeError("nothing to train on: pass --data DIR")
    if output is not None:
        require_outside(output, recipe.data.source)
    splits = load_splits(Path(recipe.data.source), recipe.data, recipe.seed, track=track)
    samples = (*(splits.train.samples if splits.train else ()), *splits.val.samples)
    splits = settle_images(splits, look_at_images(samples, track=track), recipe)
    require_training_classes(splits)
    return splits, training_preprocess(recipe)


def training_settings(
    recipe: Recipe, splits: Splits, preprocess: Preprocess
) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    """What `edge-convnext train` learns from, with who decided each setting, and notes."""
    classes = splits.val.classes
    info = ModelInfo(recipe.model, len(classes), 3, classes, preprocess, "training", "", None)
    size = recipe.origin("train", "image_size")
    facts = [Fact("image_size", recipe.train.image_size, size)] if size else []
    settings, notes = settle(recipe, info, facts, splits)
    shown = tuple(one for one in settings if one.name not in ("in_channels", "licence"))
    return shown, tuple(dict.fromkeys((*splits.notes, *notes)))


def training_preprocess(recipe: Recipe) -> Preprocess:
    """The preprocessing to train with; the demo trains at one size whatever is built."""
    preprocess = resolve_preprocess(recipe.preprocess, Preprocess())
    return replace(preprocess, image_size=recipe.train.image_size or preprocess.image_size)


def _train_demo(
    recipe: Recipe, splits: Splits, cache: Cache, versions: dict[str, str], track: Track
) -> Step[Weights]:
    preprocess = training_preprocess(recipe)
    key = stage_key(
        "train/1",
        model=recipe.model,
        preprocess=asdict(preprocess),
        pixels=PIXELS,
        config=recipe.train.model_dump(mode="json"),
        data=[splits.train.digest if splits.train else None, splits.val.digest],
        seed=recipe.seed,
        tools={name: versions.get(name) for name in ("edge-convnext", "torch", "pillow")},
    )

    def make(folder: Path) -> dict[str, Any]:
        from edge_convnext.networks.training.train import train

        result = train(
            recipe.model,
            splits,
            preprocess,
            recipe.train,
            folder / _WEIGHTS,
            seed=recipe.seed,
            resume=True,
            state_path=cache.unfinished(key),
            track=track,
        )
        return {"top1_pct": result.top1_pct, "seconds": result.seconds}

    trained = cache.run("train", key, make)
    step = _load_weights(recipe, str(trained.folder / _WEIGHTS), cache, versions)
    spent = 0.0 if trained.cached else trained.seconds
    reason = f"the demo's own model, trained in {trained.result['seconds']:.0f} s"
    info = replace(step.value.info, weights_source="the demo, trained here on digits")
    named = replace(step.value, info=info)
    return replace(step, value=named, seconds=step.seconds + spent, reason=reason)


def _load_weights(
    recipe: Recipe,
    stated: str,
    cache: Cache,
    versions: dict[str, str],
) -> Step[Weights]:
    """Load through the cache: key on the file's content, the hub's revision, or the seed."""
    from edge_convnext.stages import load

    config = recipe.load.model_copy(update={"weights": stated})

    def make(folder: Path) -> dict[str, Any]:
        made = load.load_weights(config, recipe.model, recipe.seed, folder / _WEIGHTS)
        return {"facts": [fact.to_json() for fact in made.facts], "notes": list(made.notes)}

    key = stage_key(
        load.STAGE.key,
        weights=load.weights_identity(config, recipe.model, recipe.seed),
        model=recipe.model,
        config=config.model_dump(mode="json", exclude={"weights"}),
        tools={name: versions.get(name) for name in ("edge-convnext", *load.STAGE.packages)},
    )
    entry = cache.run("load", key, make)
    loaded = open_weights(entry.folder / _WEIGHTS)
    preprocess = resolve_preprocess(recipe.preprocess, loaded.info.preprocess)
    info = replace(loaded.info, preprocess=preprocess)
    facts = tuple(Fact.from_json(fields) for fields in entry.result["facts"])
    told = replace(loaded, info=info, facts=facts, notes=tuple(entry.result["notes"]))
    return as_step(told, entry, _WEIGHTS, load.STAGE)


def _load_splits(
    recipe: Recipe,
    source: str | None,
    info: ModelInfo | None,
    cache: Cache,
    track: Track,
) -> Splits | None:
    if source is None:
        return None
    folder = _find_digits(cache) if source == DIGITS else Path(source)
    classes = info.classes if info is not None else ()
    splits = load_splits(folder, recipe.data, recipe.seed, classes or None, track)
    if info is not None:
        require_classes(info, splits)  # other data's images need no look
    samples = (*(splits.train.samples if splits.train else ()), *splits.val.samples)
    return settle_images(splits, scan_images(samples, cache, track), recipe)


def settle_images(splits: Splits, looks: Mapping[str, Look], recipe: Recipe) -> Splits:
    """Act on what was seen: what can't be decoded, and what is there twice."""
    whole = drop_bad_images(splits, bad_images(looks), recipe.data.skip_bad_images)
    kept = drop_leaks(see_images(whole, looks), recipe.data.allow_duplicates)
    return replace(kept, notes=(*kept.notes, *tell_depth(kept.val.samples)))


def _find_digits(cache: Cache) -> Path:
    """The bundled digits as a folder; an entry like any other, checked and pruned as such."""

    def make(folder: Path) -> dict[str, Any]:
        ensure_digits(folder / DIGITS)
        return {}

    return cache.run(DIGITS, stage_key("digits/1"), make).folder / DIGITS


def require_classes(info: ModelInfo, splits: Splits) -> None:
    """Refuse data of another number of classes than the weights have.

    Raises:
        DataError: With both numbers.
    """
    names = splits.val.classes
    if len(names) != info.num_classes and (labels := labels_file_of(splits.facts)):
        raise DataError(
            f"{labels} has {len(names)} class names ({shorten_names(names)}), and the weights tell "
            f"{info.num_classes} classes apart; name each of these once, in logit order"
        )
    if len(names) != info.num_classes:
        raise DataError(
            f"the data has {len(names)} classes ({shorten_names(names)}), the weights "
            f"{info.num_classes}; pass the data they were trained on, or --labels FILE with "
            "every class in logit order"
        )


def _name_classes(weights: Step[Weights], splits: Splits) -> Step[Weights]:
    """Give the logits the data's class names where the checkpoint names none."""
    info = replace(weights.value.info, classes=splits.val.classes)
    return replace(weights, value=replace(weights.value, info=info))


def find_calibration(
    recipe: Recipe,
    splits: Splits | None,
    evaluation: ImageSet | None,
    look: Callable[[Sequence[Sample]], Mapping[str, Look]],
    track: Track,
    sha256: Callable[[Path], str] = sha256_file,
) -> tuple[CalibrationSet | None, int]:
    """The calibration set, and how many bad images an explicit source had.

    Args:
        recipe: Names the source, or leaves it to the training side.
        splits: The data; None where there are none.
        evaluation: What must not calibrate: the evaluation side of the model's own data.
        look: Decodes images; those that it does not look at are told apart by their bytes.
        track: Told of each file that is hashed.
        sha256: Hashes one file.

    Returns:
        No set where none is needed, and none is there.

    Raises:
        DataError: INT8 without a training side, or the set is of evaluation images.
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
        if len(kept.val) <= size:  # in its own order, so that a recorded set replays exactly
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

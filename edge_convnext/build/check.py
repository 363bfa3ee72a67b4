"""`edge-convnext check`: what weights and data state, and what looks wrong.

Nothing is built, and nothing is written but what files hashed to. Images are opened, a sample of
them is decoded, and where it takes seconds the model is held against guessing on that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from edge_convnext.build import reading
from edge_convnext.build.inputs import find_calibration
from edge_convnext.build.settle import settle_recipe
from edge_convnext.core.artifacts import Weights
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import BadModelError, DataError, EdgeConvNextError, RecipeError
from edge_convnext.core.hash_memory import HashMemory
from edge_convnext.core.origins import Fact
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.recipe import DIGITS, RANDOM, Recipe
from edge_convnext.data.batches import Look, look_at_images
from edge_convnext.data.calibration import draw_calibration
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.labels import order_by_file
from edge_convnext.data.preprocess import resolve_preprocess
from edge_convnext.data.splits import Splits, load_splits
from edge_convnext.measure.answers import Answer, answer_with_torch
from edge_convnext.measure.class_order import order_by_images, reorder, show_order
from edge_convnext.measure.held import hold_against_chance
from edge_convnext.measure.held_words import describe
from edge_convnext.measure.settings import note_defaults, settle
from edge_convnext.measure.suggest import QUICK, suggester
from edge_convnext.networks.open_weights import weights_file
from edge_convnext.networks.stated_weights import check_weights_file

__all__ = ["Checked", "check_inputs"]

_DECODED = 100  # images of each side that are decoded in full, whatever their size
_MOST_DECODED = 1000
_DECODED_BYTES = 6e6  # most bytes of one side's files: a third of a second on two cores
_MOST_ANSWERED = 200
_FEWEST_ANSWERED = 10  # images; fewer say nothing about the model
# A third faster than 8 for atto at 224 px, and as fast at 128 (two cores of an AMD EPYC).
_BATCH = 4  # images
_MOST_MACS = 1.1e10  # of one pass; the usual means and orders take several, about 2 s in all
_UNTRIED = ("the order of the classes", "the preprocessing")


@dataclass(frozen=True)
class Checked:
    """The settings that were read, the source of each, and what looks wrong."""

    settings: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str | None = None  # the error line that a build would end with
    order: tuple[str, ...] | None = None  # an order of the classes that would fit far better
    not_tested: tuple[str, ...] = ()  # questions that only a build answers
    tried: str | None = None  # a sentence on how often the float model was right

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema": "edge-convnext/check/1",
            "ok": self.refused is None,
            "refused": self.refused,
            "settings": [one.to_json() for one in self.settings],
            "notes": list(self.notes),
            "suggested_order": list(self.order) if self.order else None,
            "not_tested": list(self.not_tested),
        }


@dataclass
class _Reader:
    """Collects what is read, up to the first thing that a build would refuse."""

    recipe: Recipe
    hashes: HashMemory
    track: Track
    folder: Path  # scratch folder to work in
    weights: Weights | None = None
    runs: bool = False  # whether the weights take images of this size, and are not random
    splits: Splits | None = None
    notes: tuple[str, ...] = ()
    order: tuple[str, ...] | None = None
    not_tested: tuple[str, ...] = ()
    tried: str | None = None

    def read_recipe(self) -> None:
        self.recipe, _, _ = settle_recipe(self.recipe)

    def read_weights(self) -> None:
        stated = self.recipe.load.weights
        if stated is None:
            return
        from edge_convnext.stages.load import load_weights

        check_weights_file(stated)
        recipe = self.recipe
        path = self.folder / weights_file(recipe.model)
        size = recipe.preprocess.image_size
        loaded = load_weights(recipe.load, recipe.model, recipe.seed, path, size)
        preprocess = resolve_preprocess(recipe.preprocess, loaded.info.preprocess)
        self.weights = replace(loaded, info=replace(loaded.info, preprocess=preprocess))
        reading.require_size(self.weights)
        self.runs = recipe.load.weights != RANDOM

    def read_labels(self) -> None:
        """Of a recipe without data, whose labels file names the logits; else `read_data` does."""
        labels = None if self.recipe.data.source else self.recipe.data.labels
        if self.weights is not None:
            self.weights = reading.name_by_file(self.weights, labels)
        elif labels is not None:
            order_by_file(Path(labels))

    def read_data(self) -> None:
        if not self.recipe.data.source:
            return
        if self.recipe.data.source == DIGITS:
            raise RecipeError("the demo brings its own model and data: there is nothing to check")
        data, seed = self.recipe.data, self.recipe.seed
        named = self.weights.info.classes if self.weights is not None else ()
        splits = load_splits(
            Path(self.recipe.data.source), data, seed, named or None, self.track,
            self.hashes.sha256,
        )  # fmt: skip
        self.splits = splits  # what was read is shown even if a later check refuses it
        if self.weights is not None and self.recipe.load.weights != RANDOM:
            reading.require_classes(self.weights.info, splits)
        sides = [side for side in (splits.train, splits.val) if side is not None]
        sample = [one for side in sides for one in self._sample(side)]
        looks = look_at_images(sample, track=self.track)
        self.splits = reading.settle_images(splits, looks, self.recipe)
        self.notes += _not_decoded(len(sample), sides)

    def read_calibration(self) -> None:
        recipe, splits = self.recipe, self.splits
        if recipe.data.calibration is None and splits is None:
            return  # weights alone
        calibration, _ = find_calibration(
            recipe, splits, splits.val if splits else None, self._look_at_some, self.track,
            self.hashes.sha256,
        )  # fmt: skip
        if recipe.data.calibration is not None and calibration is not None:
            self.notes += (f"For calibration: {calibration.note}.",)
        if recipe.precision == "int8" and calibration is not None:
            self.notes += calibration.notes

    def _look_at_some(self, samples: Sequence[Sample]) -> Mapping[str, Look]:
        return look_at_images(self._sample(ImageSet(tuple(samples), ())), track=self.track)

    def _sample(self, images: ImageSet) -> tuple[Sample, ...]:
        """Draw as many images as are decoded in about a second, the same number of each class."""
        first = images.samples[:_DECODED]
        weight = sum(one.path.stat().st_size for one in first if one.path.is_file())
        most = int(_DECODED_BYTES * len(first) / max(1, weight))
        return _few(images, max(_DECODED, min(_MOST_DECODED, most)), self.recipe.seed).samples

    def hold(self) -> None:
        """Check class order and guessing, on as many images as take some seconds."""
        weights, splits = self.weights, self.splits
        if weights is None or splits is None or not self.runs:
            return
        if len(splits.val.classes) != weights.info.num_classes:
            return  # a note says so already
        macs = weights.architecture.count_macs(weights.info.preprocess.image_size)
        most = min(_MOST_ANSWERED, int(_MOST_MACS / macs))
        if most < _FEWEST_ANSWERED:
            self._take(splits)
            self.not_tested = _UNTRIED
            self.notes += ("Too large a model to be tried here.",)
            return
        few = replace(splits, val=_few(splits.val, most, self.recipe.seed))
        answer = answer_with_torch(weights, _BATCH, self.recipe.benchmark.threads)
        if few.other_orders:
            source, seed = str(self.recipe.data.source), self.recipe.seed
            suggest = suggester(weights, answer, seed, QUICK, splits.val)
            try:
                few = order_by_images(weights.info, few, answer, source, seed, suggest)
            except DataError as error:
                if len(few.val) == len(splits.val):
                    raise
                self.not_tested = _UNTRIED
                self.notes += (f"{error} (a build asks all {len(splits.val)} images).",)
                return
        self._take(few)
        self._hold_against_chance(few, answer, reorder(splits.val, few.val.classes))

    def _hold_against_chance(self, few: Splits, answer: Answer, pool: ImageSet) -> None:
        assert self.weights is not None
        settings, _ = settle(self.recipe, self.weights.info, self.weights.facts, few)
        held = hold_against_chance(
            self.weights, few.val, self.recipe, settings, answer, QUICK, pool=pool
        )
        self.order = held.order
        self.notes += held.notes
        if held.found is None:
            self.not_tested = _UNTRIED
            return
        told = describe(held.found, self.weights.info.classes)
        self.tried = next((one for one in held.notes if told in one), None)
        if self.tried is None:
            self.tried = f"The float model {told}{_tell_sample(len(few.val), len(pool))}."
            self.notes += (self.tried,)

    def _take(self, splits: Splits) -> None:
        """Take the data's class names, in their order, as the model's."""
        assert self.weights is not None
        info = replace(self.weights.info, classes=splits.val.classes)
        self.weights, self.splits = replace(self.weights, info=info), splits


def check_inputs(recipe: Recipe, cache: Cache, track: Track = untracked) -> Checked:
    """Read weights, data or both, and report what a build would make of them.

    Args:
        recipe: Recipe that names weights and data, and overrides what they state.
        cache: Cache that remembers hashes; nothing else is read or written there.
        track: Shows work that takes long.

    Returns:
        What was read, and the error line of a build that would refuse it.
    """
    hashes = HashMemory(cache.root)
    refused: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        reader = _Reader(recipe, hashes, track, Path(scratch))
        steps = (
            reader.read_recipe, reader.read_weights, reader.read_labels, reader.read_data,
            reader.read_calibration, reader.hold,
        )  # fmt: skip
        for step in steps:
            try:
                step()
            except BadModelError as error:
                refused.append(str(error))
                reader.order = error.order
            except EdgeConvNextError as error:
                refused.append(str(error))
        hashes.save()
    settings, told = _settled(reader)
    read = (one.notes for one in (reader.weights, reader.splits) if one is not None)
    notes = (recipe.note, *chain.from_iterable(read), *reader.notes, *told, *refused[1:])
    return Checked(
        settings, tuple(dict.fromkeys(filter(None, notes))), next(iter(refused), None),
        reader.order, reader.not_tested, reader.tried,
    )  # fmt: skip


def _settled(reader: _Reader) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    recipe, weights, splits = reader.recipe, reader.weights, reader.splits
    if weights is None:
        return (tuple(splits.facts), _tell_orders(splits)) if splits is not None else ((), ())
    settings, notes = settle(recipe, weights.info, weights.facts, splits)
    guessed = note_defaults(settings) if recipe.load.weights != RANDOM else ()
    open_ = _tell_orders(splits) if splits is not None and reader.not_tested else ()
    return settings, (*notes, *guessed, *open_)


def _tell_orders(splits: Splits) -> tuple[str, ...]:
    """A note that a build has to find the order: the model is missing, or too large to try."""
    if not splits.other_orders:
        return ()
    orders = (splits.val.classes, *splits.other_orders)
    return (
        "Nothing states the order of the classes, which may be "
        f"{'; or '.join(show_order(one, orders) for one in orders)}. Weights that name them, "
        "--labels FILE or the evaluation images decide.",
    )


def _few(images: ImageSet, most: int, seed: int) -> ImageSet:
    """Draw at most `most` images, the same number of each class."""
    return images if len(images) <= most else draw_calibration(images, None, most, seed).images


def _tell_sample(asked: int, total: int) -> str:
    """Words on a share that is no build's top-1: few images, and each class weighs the same."""
    if asked == total:
        return ""
    return (
        f", drawn evenly from the classes; a build asks all {total}, where each class weighs as "
        "often as it comes"
    )


def _not_decoded(decoded: int, sides: Sequence[ImageSet]) -> tuple[str, ...]:
    total = sum(map(len, sides))
    if total <= decoded:
        return ()
    return (
        f"{decoded} of {total} images were decoded, and compared by their pixels: a build does so "
        "with all.",
    )

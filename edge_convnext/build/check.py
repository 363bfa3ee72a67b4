"""`edge-convnext check`: what weights and data say of themselves, and what looks wrong.

Nothing is built, and nothing is written but what files hashed to. Images are opened, a sample of
them is decoded, and where it takes seconds the model is held against guessing on that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from edge_convnext.build.inputs import require_classes
from edge_convnext.core.artifacts import Weights
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import BadModelError, DataError, EdgeConvNextError, RecipeError
from edge_convnext.core.hash_memory import HashMemory
from edge_convnext.core.origins import Fact
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.recipe import DIGITS, RANDOM, Recipe
from edge_convnext.data import (
    ImageSet,
    Splits,
    check_explicit_calibration,
    draw_calibration,
    drop_bad_images,
    drop_leaks,
    find_bad_images,
    load_calibration,
    load_splits,
)
from edge_convnext.data.preprocess import resolve_preprocess
from edge_convnext.measure.chance import FEWEST_IMAGES
from edge_convnext.measure.class_order import order_by_images, show_order
from edge_convnext.measure.held import answer_with_torch, hold_against_chance
from edge_convnext.measure.settings import note_defaults, settle

__all__ = ["Checked", "check_inputs"]

_DECODED = 100  # images of each side, in full
_MOST_ANSWERED = 200
_MOST_MACS = 2e10  # of all answers: about one second on two cores


@dataclass(frozen=True)
class Checked:
    """What was read, who says so, and what looks wrong."""

    settings: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str | None = None  # the line that a build would end with
    order: tuple[str, ...] | None = None  # of the classes, that would fit far better

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema": "edge-convnext/check/1",
            "ok": self.refused is None,
            "refused": self.refused,
            "settings": [one.to_json() for one in self.settings],
            "notes": list(self.notes),
            "suggested_order": list(self.order) if self.order else None,
        }


@dataclass
class _Reader:
    """Collects what is told, up to the first thing that a build would refuse."""

    recipe: Recipe
    hashes: HashMemory
    track: Track
    folder: Path  # to work in
    weights: Weights | None = None
    splits: Splits | None = None
    notes: tuple[str, ...] = ()
    order: tuple[str, ...] | None = None

    def read_weights(self) -> None:
        stated = self.recipe.load.weights
        if stated is None:
            return
        from edge_convnext.stages.load import check_weights_file, load_weights

        check_weights_file(stated)
        recipe = self.recipe
        path = self.folder / "weights.safetensors"
        loaded = load_weights(recipe.load, recipe.model, recipe.seed, path)
        preprocess = resolve_preprocess(recipe.preprocess, loaded.info.preprocess)
        self.weights = replace(loaded, info=replace(loaded.info, preprocess=preprocess))

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
        self.splits = splits  # what follows may refuse it, and is told beside what was read
        if self.weights is not None and self.recipe.load.weights != RANDOM:
            require_classes(self.weights.info, splits)
        sides = [side for side in (splits.train, splits.val) if side is not None]
        sample = [one for side in sides for one in _few(side, _DECODED, seed).samples]
        bad = find_bad_images(sample, track=self.track)
        whole = drop_bad_images(splits, bad, data.skip_bad_images)
        self.splits = drop_leaks(whole, data.allow_duplicates)
        self.notes += _not_decoded(len(sample), sides)

    def read_calibration(self) -> None:
        source = self.recipe.data.calibration
        if source is None:
            return
        data = Path(self.recipe.data.source) if self.recipe.data.source else None
        images, unread = load_calibration(
            Path(source), data, self.recipe.data.skip_bad_images, self.track, self.hashes.sha256
        )
        sample = _few(images, _DECODED, self.recipe.seed).samples
        bad = find_bad_images(sample, track=self.track)
        drop_bad_images(Splits(None, images, "", unread), bad, self.recipe.data.skip_bad_images)
        if self.splits is not None:
            check_explicit_calibration(images, self.splits.val)
        self.notes += (f"{len(images)} calibration images in {source}.",)

    def hold(self) -> None:
        """Class order and chance, on as many images as take some seconds."""
        weights, splits = self.weights, self.splits
        if weights is None or splits is None or self.recipe.load.weights == RANDOM:
            return
        if len(splits.val.classes) != weights.info.num_classes:
            return  # told already
        macs = weights.architecture.count_macs(weights.info.preprocess.image_size)
        most = min(_MOST_ANSWERED, int(_MOST_MACS / macs))
        few = replace(splits, val=_few(splits.val, most, self.recipe.seed))
        if most < FEWEST_IMAGES:
            self._take(splits)
            self.notes += (
                "Too large a model to be tried here: a build holds it against guessing.",
            )
            return
        answer = answer_with_torch(weights, 8, self.recipe.benchmark.threads)
        if few.other_orders:
            source = str(self.recipe.data.source)
            try:
                few = order_by_images(weights.info, few, answer, source, self.recipe.seed)
            except DataError as error:
                if len(few.val) == len(splits.val):
                    raise
                self.notes += (f"{error} (a build asks all {len(splits.val)} images).",)
                return
        self._take(few)
        assert self.weights is not None
        settings, _ = settle(self.recipe, self.weights.info, self.weights.facts, few)
        held = hold_against_chance(
            self.weights, few.val, self.recipe, settings, answer, try_ways=False
        )
        self.notes += held.notes
        self.order = held.order

    def _take(self, splits: Splits) -> None:
        """The data's names and order are the model's."""
        assert self.weights is not None
        info = replace(self.weights.info, classes=splits.val.classes)
        self.weights, self.splits = replace(self.weights, info=info), splits


def check_inputs(recipe: Recipe, cache: Cache, track: Track = untracked) -> Checked:
    """Read weights and data, either alone too, and tell what a build would make of them.

    Args:
        recipe: Names them, and states what is not to be read off them.
        cache: Where hashes are remembered; nothing else is read or written there.
        track: Told of work that takes long.

    Returns:
        What could be read before a build would have refused, and with which line.
    """
    hashes = HashMemory(cache.root)
    refused: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        reader = _Reader(recipe, hashes, track, Path(scratch))
        for step in (reader.read_weights, reader.read_data, reader.read_calibration, reader.hold):
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
    notes = (*chain.from_iterable(read), *reader.notes, *told, *refused[1:])
    first = refused[0] if refused else None
    return Checked(settings, tuple(dict.fromkeys(notes)), first, reader.order)


def _settled(reader: _Reader) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    recipe, weights, splits = reader.recipe, reader.weights, reader.splits
    if weights is None:
        return (tuple(splits.facts), _tell_orders(splits)) if splits is not None else ((), ())
    settings, notes = settle(recipe, weights.info, weights.facts, splits)
    guessed = note_defaults(settings) if recipe.load.weights != RANDOM else ()
    return settings, (*notes, *guessed)


def _tell_orders(splits: Splits) -> tuple[str, ...]:
    """Of data alone, that a build would have to find the order out."""
    if not splits.other_orders:
        return ()
    orders = (splits.val.classes, *splits.other_orders)
    return (
        "Nothing states the order of the classes, which may be "
        f"{'; or '.join(show_order(one, orders) for one in orders)}. Weights that name them, "
        "--labels FILE or the evaluation images decide.",
    )


def _few(images: ImageSet, most: int, seed: int) -> ImageSet:
    """So many images, the same number of each class."""
    return images if len(images) <= most else draw_calibration(images, None, most, seed).images


def _not_decoded(decoded: int, sides: Sequence[ImageSet]) -> tuple[str, ...]:
    total = sum(map(len, sides))
    if total <= decoded:
        return ()
    return (f"{decoded} of {total} images were decoded: a build decodes all, and compares pixels.",)

"""The inputs of a training, and the settings and notes that are shown of them."""

from __future__ import annotations

from pathlib import Path

from edge_convnext.build.reading import (
    settle_images,
    training_preprocess,
)
from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.files import AnyPath
from edge_convnext.core.origins import Fact
from edge_convnext.core.progress import Track
from edge_convnext.core.recipe import Recipe
from edge_convnext.data.batches import look_at_images
from edge_convnext.data.places import require_outside
from edge_convnext.data.splits import Splits, load_splits, require_training_classes
from edge_convnext.measure.settings import settle
from edge_convnext.networks.training.output import require_weights_file
from edge_convnext.networks.training.train import require_trainable

__all__ = ["prepare_training", "training_settings"]


def prepare_training(
    recipe: Recipe, track: Track, output: AnyPath | None = None
) -> tuple[Splits, Preprocess]:
    """Read and check the images that `edge-convnext train` learns from.

    Args:
        recipe: Recipe that names the data.
        track: Shows work that takes long.
        output: File that the weights will be written to.

    Raises:
        ArtifactError: `output` is one of the images.
        TrainingError: The model can't be trained, or weights are not saved under `output`.
        DataError: The data can't be used.
    """
    require_trainable(recipe.model)
    if recipe.data.source is None:
        raise RecipeError("nothing to train on: pass --data DIR")
    if output is not None:
        require_weights_file(Path(output))
        require_outside(output, recipe.data.source)
    splits = load_splits(Path(recipe.data.source), recipe.data, recipe.seed, track=track)
    samples = (*(splits.train.samples if splits.train else ()), *splits.val.samples)
    splits = settle_images(splits, look_at_images(samples, track=track), recipe)
    require_training_classes(splits)
    return splits, training_preprocess(recipe)


def training_settings(
    recipe: Recipe, splits: Splits, preprocess: Preprocess
) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    """The settings of a training, each with the source that decided it, and notes."""
    classes = splits.val.classes
    info = ModelInfo(recipe.model, len(classes), 3, classes, preprocess, "training", "", None)
    size = recipe.origin("train", "image_size")
    facts = [Fact("image_size", recipe.train.image_size, size)] if size else []
    settings, notes = settle(recipe, info, facts, splits)
    shown = tuple(one for one in settings if one.name not in ("in_channels", "licence"))
    return shown, tuple(dict.fromkeys(filter(None, (recipe.note, *splits.notes, *notes))))

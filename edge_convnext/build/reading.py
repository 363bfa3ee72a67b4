"""Weights and images, read as a build and a training need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edge_convnext.core.artifacts import ModelInfo, Preprocess, Weights
from edge_convnext.core.cache import Cache, stage_key
from edge_convnext.core.errors import DataError, shorten_names
from edge_convnext.core.origins import Fact
from edge_convnext.core.progress import Track
from edge_convnext.core.recipe import DIGITS, Recipe
from edge_convnext.core.step import Step, as_step
from edge_convnext.data.batches import Look
from edge_convnext.data.depth import tell_depth
from edge_convnext.data.digits import ensure_digits
from edge_convnext.data.labels import order_by_file
from edge_convnext.data.leaks import drop_leaks
from edge_convnext.data.noise import NOISE, ensure_noise
from edge_convnext.data.preprocess import PIXELS, resolve_preprocess
from edge_convnext.data.scan import bad_images, scan_images
from edge_convnext.data.splits import Splits, drop_bad_images, load_splits, see_images
from edge_convnext.measure.settings import labels_file_of
from edge_convnext.networks.family import family_of
from edge_convnext.networks.open_weights import open_weights, weights_file

__all__ = [
    "load_checkpoint",
    "name_by_file",
    "name_classes",
    "require_classes",
    "require_size",
    "settle_images",
    "split_data",
    "train_demo",
    "training_preprocess",
]

_WEIGHTS = "weights.safetensors"


def training_preprocess(recipe: Recipe) -> Preprocess:
    """The preprocessing to train with; the demo always trains at the same image size."""
    preprocess = resolve_preprocess(recipe.preprocess, Preprocess())
    return replace(preprocess, image_size=recipe.train.image_size or preprocess.image_size)


def train_demo(
    recipe: Recipe, splits: Splits, cache: Cache, versions: dict[str, str], track: Track
) -> Step[Weights]:
    """Train the demo's model, or take the one of an equal training from the cache."""
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
    step = load_checkpoint(recipe, str(trained.folder / _WEIGHTS), cache, versions)
    spent = 0.0 if trained.cached else trained.seconds
    reason = f"the demo's own model, trained in {trained.result['seconds']:.0f} s"
    info = replace(step.value.info, weights_source="the demo, trained here on digits")
    named = replace(step.value, info=info)
    return replace(step, value=named, seconds=step.seconds + spent, reason=reason)


def load_checkpoint(
    recipe: Recipe,
    stated: str,
    cache: Cache,
    versions: dict[str, str],
) -> Step[Weights]:
    """Load weights through the cache, keyed by the file's content, hub revision, or seed.

    Raises:
        LoadError: They can't be read, or the network takes no images of the stated size.
    """
    from edge_convnext.stages import load

    config = recipe.load.model_copy(update={"weights": stated})
    file, size = weights_file(recipe.model), recipe.preprocess.image_size

    def make(folder: Path) -> dict[str, Any]:
        made = load.load_weights(config, recipe.model, recipe.seed, folder / file, size)
        return {"facts": [fact.to_json() for fact in made.facts], "notes": list(made.notes)}

    key = stage_key(
        load.STAGE.key,
        weights=load.weights_identity(config, recipe.model, recipe.seed, size),
        model=recipe.model,
        config=config.model_dump(mode="json", exclude={"weights"}),
        tools={name: versions.get(name) for name in ("edge-convnext", *load.STAGE.packages)},
    )
    entry = cache.run("load", key, make)
    loaded = open_weights(entry.folder / file)
    preprocess = resolve_preprocess(recipe.preprocess, loaded.info.preprocess)
    info = replace(loaded.info, preprocess=preprocess)
    facts = tuple(Fact.from_json(fields) for fields in entry.result["facts"])
    told = replace(loaded, info=info, facts=facts, notes=tuple(entry.result["notes"]))
    require_size(told)
    return as_step(told, entry, file, load.STAGE)


def split_data(
    recipe: Recipe,
    source: str | None,
    info: ModelInfo | None,
    cache: Cache,
    track: Track,
) -> Splits | None:
    """Find the images to train and to evaluate with, or None where `source` is None.

    `--labels` names the classes of the recipe's own data, and not those of a stand-in.

    Raises:
        DataError: The data can't be read, or has other classes than the model.
    """
    if source is None:
        return None
    made = {DIGITS: _find_digits, NOISE: _find_noise}
    folder = made[source](cache) if source in made else Path(source)
    classes = info.classes if info is not None else ()
    config = recipe.data if recipe.data.source else recipe.data.model_copy(update={"labels": None})
    splits = load_splits(folder, config, recipe.seed, classes or None, track)
    if info is not None:
        require_classes(info, splits)  # before decoding images of data that does not fit
    samples = (*(splits.train.samples if splits.train else ()), *splits.val.samples)
    return settle_images(splits, scan_images(samples, cache, track), recipe)


def settle_images(splits: Splits, looks: Mapping[str, Look], recipe: Recipe) -> Splits:
    """Handle images that can't be decoded, and images that are there twice."""
    whole = drop_bad_images(splits, bad_images(looks), recipe.data.skip_bad_images)
    kept = drop_leaks(see_images(whole, looks), recipe.data.allow_duplicates)
    return replace(kept, notes=(*kept.notes, *tell_depth(kept.val.samples)))


def _find_digits(cache: Cache) -> Path:
    """The bundled digits."""
    return _find_images(DIGITS, ensure_digits, cache)


def _find_noise(cache: Cache) -> Path:
    """Images for a model that came without any."""
    return _find_images(NOISE, ensure_noise, cache)


def _find_images(name: str, ensure: Callable[[Path], Path], cache: Cache) -> Path:
    """Images of this package as a folder in the cache, checked and pruned like any other entry."""

    def make(folder: Path) -> dict[str, Any]:
        ensure(folder / name)
        return {}

    return cache.run(name, stage_key(f"{name}/1"), make).folder / name


def require_classes(info: ModelInfo, splits: Splits) -> None:
    """Refuse data whose number of classes differs from the weights'.

    Raises:
        DataError: The numbers differ; the message has both.
    """
    names = splits.val.classes
    if len(names) != info.num_classes and (labels := labels_file_of(splits.facts)):
        raise DataError(
            f"{labels} has {len(names)} class names ({shorten_names(names)}), and the weights have "
            f"{info.num_classes} classes; name each of these once, in logit order"
        )
    if len(names) != info.num_classes:
        raise DataError(
            f"the data has {len(names)} classes ({shorten_names(names)}), the weights "
            f"{info.num_classes}; pass the data they were trained on, or --labels FILE with "
            "every class in logit order"
        )


def require_size(weights: Weights) -> None:
    """Refuse an image size that a network from outside can't take, before anything is made of it.

    Those in the tree take all that a recipe can state, and an ONNX file is made for its size.

    Raises:
        LoadError: With what the network says, and a size that it takes.
    """
    outside = family_of(weights).outside
    if outside is not None:
        size = weights.info.preprocess.image_size
        outside.require_size(weights.architecture, size, weights.path)


def name_by_file(weights: Weights, labels: str | None) -> Weights:
    """Give the logits the names of the user's file, where no data are read that it would order.

    Raises:
        DataError: The file can't be read as class names, or the weights have another number.
    """
    if labels is None:
        return weights
    info = weights.info
    order = order_by_file(Path(labels), info.num_classes, info.classes)
    return replace(
        weights, info=replace(info, classes=order.names), facts=(*weights.facts, *order.facts),
        notes=(*weights.notes, *order.notes),
    )  # fmt: skip


def name_classes(weights: Step[Weights], splits: Splits) -> Step[Weights]:
    """Give the logits the data's class names where the checkpoint names none."""
    info = replace(weights.value.info, classes=splits.val.classes)
    return replace(weights, value=replace(weights.value, info=info))

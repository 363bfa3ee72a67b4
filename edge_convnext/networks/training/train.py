"""Train: from labelled images to weights for `build`, with their classes and preprocessing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.bounds import MIN_IMAGE_SIZE
from edge_convnext.core.errors import DataError, LoadError, MissingDependencyError, TrainingError
from edge_convnext.core.files import AnyPath, sha256_bytes
from edge_convnext.core.image_size import ImageSize, show_size, sides_of
from edge_convnext.core.origins import TRAINED_BY
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.sections import TrainConfig
from edge_convnext.data.preprocess import PIXELS
from edge_convnext.data.splits import Splits
from edge_convnext.networks.checkpoint import read_checkpoint
from edge_convnext.networks.facts.whole import settle_checkpoint, turn_to_rgb
from edge_convnext.networks.family import family_of, family_of_model, find_model
from edge_convnext.networks.training.output import folder_of
from edge_convnext.networks.training.read_pixels import read_pixels
from edge_convnext.networks.weights import save_weights
from edge_convnext.networks.weights_place import digest_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from edge_convnext.core.artifacts import NetworkShape
    from edge_convnext.networks.training.state import EpochRow

__all__ = ["DeviceName", "TrainResult", "require_trainable", "train"]

DeviceName = Literal["auto", "cpu", "cuda"]
_MAX_ENLARGEMENT = 1.5  # stored images over the network's input; more would alias


@dataclass(frozen=True)
class _Start:
    """Weights that training starts from, and what they state."""

    state: dict[str, Tensor]
    num_classes: int  # 0: without a classifier
    classes: tuple[str, ...]
    licence: str | None
    sha256: str
    notes: tuple[str, ...]
    keeps_head: bool = False  # whether its last layer has the classes that are trained


@dataclass(frozen=True)
class TrainResult:
    """A finished training run."""

    path: Path  # safetensors: the averaged weights after the last epoch
    top1_pct: float  # of these weights, in float32, on the validation images
    epochs: int
    seconds: float  # of all epochs with their validation, also those before a kill
    device: str
    rows: tuple[EpochRow, ...]
    notes: tuple[str, ...] = ()  # on the weights that training started from, and its types


def train(
    model: str,
    splits: Splits,
    preprocess: Preprocess,
    config: TrainConfig,
    output: AnyPath,
    seed: int = 0,
    init: AnyPath | None = None,
    resume: bool = False,
    state_path: AnyPath | None = None,
    device: DeviceName = "auto",
    track: Track = untracked,
    on_epoch: Callable[[EpochRow], None] | None = None,
) -> TrainResult:
    """Train a classifier of RGB images and save the average of its weights.

    The weights are those after the last epoch: no epoch is chosen by its validation score.

    Args:
        model: Name of a model of any family that torch can make, in any spelling.
        splits: Both sides; `val` is only measured.
        preprocess: Preprocessing of images; it is saved with the weights.
        config: The `train:` section.
        output: File for the weights, `.safetensors`.
        seed: Seed of the initial weights, shuffling, augmentation and stochastic depth.
        init: Checkpoint to start from, in any dialect, also pre-trained weights without a
            classifier. Its last layer is kept if it has the same classes, else drawn anew.
        resume: True goes on from `state_path` if a killed run left one.
        state_path: File for the state of an unfinished run; by default `output` with `.state`
            appended. It is removed once the weights are saved.
        device: Device; `auto` takes CUDA where there is a GPU.
        track: Progress, called for each update.
        on_epoch: Function that is called after each epoch, and for those that `resume` found.

    Raises:
        TrainingError: Training can't start, can't be resumed, or diverged.
        DataError: There is no training side, or an image can't be decoded.
        LoadError: `init` is not a checkpoint of this model.
        RecipeError: No such model.
        MissingDependencyError: torch or safetensors is not installed.
    """
    output = Path(output)
    state_path = Path(state_path) if state_path is not None else None
    try:
        import torch

        from edge_convnext.networks.training.loop import StateFile, Trainer, explain_memory
        from edge_convnext.networks.training.state import check_replaceable
    except ImportError as error:
        raise MissingDependencyError(
            f"training needs torch ({error.name} is missing): pip install 'edge-convnext[build]'"
        ) from error
    if splits.train is None:
        raise DataError(f"no training images: {splits.note}; give the source a training side")
    require_trainable(model)
    architecture = find_model(model, num_classes=len(splits.train.classes))
    _require_size(preprocess, architecture)
    start = _read_init(Path(init), architecture, splits.train.classes) if init is not None else None
    state_path = state_path or output.with_name(f"{output.name}.state")
    if not resume:
        check_replaceable(state_path)
    place = _find_device(device)
    try:
        with folder_of(output):
            trainer = Trainer(
                _make_network(architecture, config.drop_path, preprocess.image_size, seed, start),
                read_pixels(splits.train, _stored(preprocess, config), place, "training", track),
                read_pixels(splits.val, preprocess, place, "validation", track),
                preprocess,
                config,
                seed,
                place,
            )
            fingerprint = _fingerprint(architecture, splits, preprocess, config, seed, start)
            state_file = StateFile(state_path, fingerprint, resume)
            rows = trainer.fit(state_file, track, on_epoch or (lambda row: None))
    except torch.OutOfMemoryError as error:
        raise explain_memory(config, preprocess) from error
    state = trainer.average.state_dict()
    licence = start.licence if start is not None else None
    info = _describe(architecture, splits.train.classes, preprocess, state, licence)
    save_weights(state, architecture, info, output)
    state_path.unlink(missing_ok=True)
    seconds = sum(row.seconds for row in rows)
    notes = (*filter(None, [trainer.choice.told]), *(start.notes if start else ()))
    return TrainResult(output, rows[-1].top1_pct, len(rows), seconds, str(place), rows, notes)


def require_trainable(model: str) -> None:
    """Refuse a model that torch can't make, before images are read.

    Raises:
        TrainingError: The model came as a graph.
        RecipeError: There is no such model.
    """
    family = family_of_model(model)
    if not family.trainable:
        raise TrainingError(
            f"{model} can't be trained: {family.label} has no torch form; train it where it was "
            "made, or train another network (`edge-convnext models`)"
        )


def _require_size(preprocess: Preprocess, architecture: NetworkShape) -> None:
    """Refuse at once a size that would otherwise fail after hours.

    Raises:
        TrainingError, LoadError: It is too small, or a network from elsewhere can't take it.
    """
    outside = family_of(architecture).outside
    if outside is not None:
        outside.require_size(architecture, preprocess.image_size)
    elif min(sides_of(preprocess.image_size)) < MIN_IMAGE_SIZE:
        raise TrainingError(
            f"images of {show_size(preprocess.image_size)} px are too small for these networks; "
            f"pass --image-size {MIN_IMAGE_SIZE} or more (train.image_size in a recipe)"
        )


def _find_device(name: DeviceName) -> torch.device:
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise TrainingError("torch finds no CUDA GPU here; train on the CPU, or see its driver")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def _stored(preprocess: Preprocess, config: TrainConfig) -> Preprocess:
    """Preprocessing of the stored images: whole, and large enough for the smallest crop."""
    enlargement = min(_MAX_ENLARGEMENT, config.min_crop_area**-0.5)
    height, width = (round(side * enlargement) for side in sides_of(preprocess.image_size))
    return replace(preprocess, image_size=(height, width), crop_pct=1.0)


def _read_init(path: Path, architecture: NetworkShape, classes: tuple[str, ...]) -> _Start:
    """Read the weights to start from; pre-trained ones need no classifier."""
    checkpoint = read_checkpoint(path, headless=True, model=architecture.name)
    found, family = checkpoint.architecture, family_of(architecture)
    if (found.name, found.in_channels) != (architecture.name, architecture.in_channels):
        raise LoadError(
            f"{path}: can't start {architecture.name} for RGB images from {found.name} with "
            f"{found.in_channels} input channels; pass --model or --init to match"
        )
    settled = settle_checkpoint(
        checkpoint, family.find_published(checkpoint.place.main, found.name)
    )
    state, _, turned = turn_to_rgb(checkpoint.state, settled, family.first_convolution(found))
    start = _Start(
        state,
        found.num_classes,
        settled.classes,
        settled.licence,
        digest_weights(checkpoint.place),
        (*checkpoint.notes, *turned),
    )
    kept = _has_classes(start, classes)
    head = "its classifier is kept" if kept else "a new classifier was drawn"
    told = (*start.notes, f"started from {path.name}; {head}")
    return replace(start, notes=told, keeps_head=kept)


def _make_network(
    architecture: NetworkShape,
    drop_path: float,
    image_size: ImageSize,
    seed: int,
    start: _Start | None,
) -> nn.Module:
    import torch

    from edge_convnext.networks.training.schedule import derive_seed

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        network = family_of(architecture).make_trainable(architecture, drop_path, image_size)
    if start is not None:
        state = network.state_dict()
        classifier = family_of(architecture).classifier(architecture)
        state |= {
            name: tensor
            for name, tensor in start.state.items()
            if start.keeps_head or not name.startswith(classifier)
        }
        network.load_state_dict(state)
    return network


def _has_classes(start: _Start, classes: tuple[str, ...]) -> bool:
    """Whether the checkpoint's last layer has these classes, as far as it states them."""
    return start.num_classes == len(classes) and start.classes in ((), classes)


def _fingerprint(
    architecture: NetworkShape,
    splits: Splits,
    preprocess: Preprocess,
    config: TrainConfig,
    seed: int,
    start: _Start | None,
) -> str:
    """Hash of everything that decides the weights; a state with another one is not resumed."""
    assert splits.train is not None  # `train` has checked it
    fields = {
        "architecture": asdict(cast("Any", architecture)),
        "data": [splits.train.digest, splits.val.digest],
        "preprocess": asdict(preprocess),
        "pixels": PIXELS,
        "config": config.model_dump(mode="json"),
        "seed": seed,
        "init": start.sha256 if start is not None else None,
    }
    return sha256_bytes(json.dumps(fields, sort_keys=True).encode())


def _describe(
    architecture: NetworkShape,
    classes: tuple[str, ...],
    preprocess: Preprocess,
    state: dict[str, Tensor],
    licence: str | None,
) -> ModelInfo:
    content = b"".join(state[name].cpu().numpy().tobytes() for name in sorted(state))
    return ModelInfo(
        model=architecture.name,
        num_classes=architecture.num_classes,
        in_channels=architecture.in_channels,
        classes=classes,
        preprocess=preprocess,
        weights_source=TRAINED_BY,
        weights_sha256=sha256_bytes(content),
        weights_licence=licence,
    )

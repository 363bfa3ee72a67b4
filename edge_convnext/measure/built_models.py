"""Measure built models again, after the build that made them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import CpuRuntimeName, OnnxModel, RuntimeName
from edge_convnext.core.errors import ArtifactError, DataError
from edge_convnext.core.files import AnyPath, sha256_file
from edge_convnext.core.image_size import sides_of
from edge_convnext.core.origins import Fact
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.sections import BenchmarkConfig, DataConfig
from edge_convnext.data.batches import find_bad_images, iter_batches
from edge_convnext.data.splits import drop_bad_images, load_splits
from edge_convnext.measure.accuracy import Accuracy, check_logits, count_hits
from edge_convnext.measure.answers import labels_of
from edge_convnext.measure.benchmark import BenchmarkResult, benchmark
from edge_convnext.measure.candidates import Candidate, load_candidate
from edge_convnext.measure.chance import judge
from edge_convnext.measure.class_order import order_by_images
from edge_convnext.measure.finished_answers import Heard, answers_of, facts_of_metadata, prepare_as
from edge_convnext.measure.held_words import warn
from edge_convnext.measure.model import load_model
from edge_convnext.measure.model_batches import check_batches
from edge_convnext.measure.of_build import tell_changed, tell_seen
from edge_convnext.measure.profile import ModelProfile, is_portable, profile
from edge_convnext.measure.settings import labels_file_of, settle
from edge_convnext.runtimes import PrecisionHint, RuntimeOptions
from edge_convnext.runtimes.load import (
    available_runtimes,
    find_runtime,
    require_runtime,
    tell_other_runtime,
)
from edge_convnext.runtimes.metadata import Metadata, read_metadata
from edge_convnext.runtimes.tensorrt.sidecar import is_engine_file, read_facts

__all__ = [
    "ModelAccuracy",
    "evaluate_model",
    "list_candidates",
    "profile_models",
    "race_models",
]


@dataclass(frozen=True)
class ModelAccuracy:
    """The accuracy of one file, and how it was run."""

    accuracy: Accuracy
    runtime: str
    split: str  # a sentence on how the data was split
    notes: tuple[str, ...] = ()  # reasons to doubt the figures
    read: tuple[str, ...] = ()  # notes on the data, which `on_read` was called with

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self.accuracy), "runtime": self.runtime, "split": self.split,
                "notes": [*self.read, *self.notes]}  # fmt: skip


def evaluate_model(
    path: AnyPath,
    config: DataConfig,
    seed: int = 0,
    batch: int = 16,
    runtime: CpuRuntimeName | None = None,
    threads: int | None = None,
    track: Track = untracked,
    stated: Recipe | None = None,
    on_read: Callable[[tuple[Fact, ...], tuple[str, ...]], None] | None = None,
) -> ModelAccuracy:
    """Measure the top-1 of a built model on the evaluation side of a data set.

    Args:
        path: Model that `build` wrote, or an engine.
        config: Data settings, of which `source` names the data.
        seed: Seed of the split, if the data has no split of its own.
        batch: Images per inference.
        runtime: Runtime to use; None takes the one that `report.json` chose for the file.
        threads: Number of CPU threads; None uses every core this process may use.
        track: Shows the batches.
        stated: Recipe whose preprocessing replaces the model's own.
        on_read: Called with the settings, each with the source that decided it, and with notes,
            before the first image.

    Raises:
        DataError: The data can't be used, has other classes than the model, or nothing tells
            their order.
        ArtifactError: The model is missing, damaged, not ours, or an engine for another machine.
        RecipeError: `stated` is not for this model.
    """
    path = Path(path)
    model = load_model(path, runtime, threads)
    info = model.info
    if stated is not None:
        info = replace(info, preprocess=prepare_as(path, info.preprocess, stated))
    splits = load_splits(Path(config.source or ""), config, seed, info.classes or None, track)
    images = splits.val
    if config.skip_bad_images:  # else the first bad image stops the evaluation; decode only once
        bad = find_bad_images(images.samples, track=track)
        images = drop_bad_images(replace(splits, train=None), bad, skip=True).val
    if len(images.classes) != info.num_classes:
        file = labels_file_of(splits.facts)
        more = "" if file else ", or --labels FILE"
        raise DataError(
            f"{file or config.source}: {len(images.classes)} classes, but {path} has "
            f"{info.num_classes}; pass the data it was trained on{more}"
        )
    splits = replace(splits, val=images)
    if splits.other_orders:
        answer = answers_of(model.runtime, info, batch)
        splits = order_by_images(info, splits, answer, str(config.source), seed)
        images = splits.val
    facts = facts_of_metadata(path, model.info)
    named = replace(info, classes=images.classes)
    settings, told = settle(stated or Recipe(), named, facts, splits)
    read = (*splits.notes, *told, *tell_seen(path, splits, seed))
    if on_read is not None:
        on_read(settings, read)
    decoded = iter_batches(images.samples, info.preprocess, batch, info.in_channels)
    what = f"evaluating {path.name} on {len(images):,} images"
    batches = track(decoded, what, -(-len(images) // batch))
    labels = labels_of(images)
    heard = Heard(model.runtime)
    accuracy = count_hits(heard, _advise(batches), labels, images.classes)
    described = model.runtime.describe()
    held = judge(np.concatenate(heard.answers), labels, info.num_classes)
    notes = tuple(f"{path.name}: {one}" for one in warn(held, images.classes)) if held else ()
    if changed := tell_changed(path):
        notes = (changed, *notes)
    ran = f"{described.name} {described.version}"
    return ModelAccuracy(accuracy, ran, splits.note, notes, read)


def _advise(batches: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    try:
        yield from batches
    except DataError as error:
        raise DataError(f"{error}; repair or remove it, or pass --skip-bad-images") from error


def race_models(
    paths: Sequence[AnyPath],
    runtime: CpuRuntimeName,
    config: BenchmarkConfig,
    hint: PrecisionHint = "f32",
    track: Track = untracked,
) -> BenchmarkResult:
    """Time built models against each other, interleaved in this process.

    The images are seeded noise. The time of a network is taken not to depend on the image, which
    was measured for ConvNeXt only.

    Args:
        paths: Models that `build` wrote, and engines, all of the same input size.
        runtime: Runtime of the graphs; `both` is all that are installed. An engine runs in the
            TensorRT it was built for.
        config: Batch sizes, threads, rounds.
        hint: Float type to compute in, if the runtime offers a choice.
        track: Shows the rounds.

    Raises:
        ArtifactError: A file is not ours, is for another batch size or for none of the runtimes,
            or the input sizes differ.
        InferenceError: A model's logits are not finite numbers.
        MissingDependencyError: The runtime is not installed.
    """
    candidates, noise = list_candidates(paths, runtime, config, hint)
    return benchmark(candidates, noise, config, track=track)


def list_candidates(
    paths: Sequence[AnyPath], runtime: CpuRuntimeName, config: BenchmarkConfig, hint: PrecisionHint
) -> tuple[list[Candidate], NDArray[np.float32]]:
    """Built models in their runtimes, which all give numbers, and one image of noise for them.

    The arguments and errors are those of `race_models`.
    """
    files = [Path(path) for path in paths]
    graphs = [path for path in files if not is_engine_file(path)]
    runtimes = _choose_runtimes(runtime) if graphs else ()
    shapes, candidates = set(), []
    for path in dict.fromkeys(files):
        metadata = read_metadata(path)
        size = metadata.info.preprocess.image_size
        shapes.add((metadata.info.in_channels, *sides_of(size)))
        names = _list(path, runtimes, metadata)
        if not names:
            raise ArtifactError(tell_other_runtime(path, metadata.format))
        candidates += [_candidate(path, metadata, name, hint) for name in names]
    check_batches(files, config.batches)
    if len(shapes) != 1:
        raise ArtifactError("models of different input sizes can't race; pass those of one size")
    noise = np.random.default_rng(0).standard_normal((1, *shapes.pop())).astype(np.float32)
    for candidate in candidates:
        _require_numbers(candidate, noise, config.threads)
    return candidates, noise


def _require_numbers(
    candidate: Candidate, images: NDArray[np.float32], threads: int | None
) -> None:
    """Refuse a model whose logits are not finite: its speed means nothing."""
    check_logits(load_candidate(candidate, None, threads).infer(images), candidate.name)


def _candidate(
    path: Path, metadata: Metadata, runtime: RuntimeName, hint: PrecisionHint
) -> Candidate:
    used = _hint_of(runtime, hint)
    return Candidate(
        OnnxModel(path, metadata.precision, metadata.form, metadata.placement),
        sha256_file(path),
        runtime,
        used,
        title=f"{path} {runtime}{'' if used == 'f32' else f' {used}'}",
    )


def _list(path: Path, runtimes: Sequence[CpuRuntimeName], metadata: Metadata) -> list[RuntimeName]:
    """The runtimes that a file is run in."""
    if is_engine_file(path):
        return [read_facts(path).runtime]
    return [name for name in runtimes if metadata.format in find_runtime(name).FORMATS]


def profile_models(
    paths: Sequence[Path],
    runtime: CpuRuntimeName,
    batches: Sequence[int],
    threads: int | None = None,
    rounds: int = 20,
    hint: PrecisionHint = "f32",
    track: Track = untracked,
) -> list[ModelProfile]:
    """Profile models, each in every runtime and at every batch size, one after the other.

    Args:
        paths: ONNX graphs; their nodes have the names that the export gives.
        runtime: Runtime of the graphs; `both` is all that are installed. A graph with ONNX
            Runtime's own operators is then run only where they are known.
        batches: Images per inference.
        threads: Number of CPU threads; None is all.
        rounds: Rounds of five inferences each, with and without the profiler in turn.
        hint: Float type to compute in, if the runtime offers a choice.
        track: Shows the rounds.

    Raises:
        ArtifactError: A file is missing, an engine, or for another batch size.
        InferenceError: A runtime refused a graph.
        MissingDependencyError: The runtime is not installed.
    """
    for path in paths:
        if is_engine_file(path):
            raise ArtifactError(
                f"{path}: an engine's layers are listed by `edge-convnext inspect`, without times"
            )
    check_batches(paths, batches)
    return [
        profile(
            path,
            name,
            RuntimeOptions(threads, batch, _hint_of(name, hint)),
            rounds,
            track,
        )
        for path in dict.fromkeys(paths)
        for name in _choose_runtimes(runtime)
        if runtime != "both" or (_profiles(name) and (_loads_fused(name) or is_portable(path)))
        for batch in batches
    ]


def _choose_runtimes(runtime: CpuRuntimeName) -> tuple[CpuRuntimeName, ...]:
    return available_runtimes() if runtime == "both" else (require_runtime(runtime),)


def _hint_of(runtime: RuntimeName, hint: PrecisionHint) -> PrecisionHint:
    """The requested float type if the runtime offers it, else `f32`."""
    return hint if hint in find_runtime(runtime).HINTS else "f32"


def _profiles(runtime: RuntimeName) -> bool:
    return bool(getattr(find_runtime(runtime), "PROFILES", True))


def _loads_fused(runtime: RuntimeName) -> bool:
    """Whether a runtime has ONNX Runtime's operators of fused products."""
    return "onnxruntime" in find_runtime(runtime).FORMATS

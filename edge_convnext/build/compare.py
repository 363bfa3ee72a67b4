"""Evaluate candidates: each is one graph in one runtime at one float precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.build.runner import Logits, Runner
from edge_convnext.core.artifacts import ModelInfo, Weights
from edge_convnext.core.progress import Track
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Step
from edge_convnext.data.batches import iter_batches
from edge_convnext.data.images import ImageSet
from edge_convnext.measure.accuracy import (
    Predictions,
    check_logits,
    compare_predictions,
)
from edge_convnext.measure.candidates import Candidate, load_candidate
from edge_convnext.measure.evaluation import Evaluation
from edge_convnext.runtimes.reference import load_reference, reference_runtime

if TYPE_CHECKING:
    from edge_convnext.runtimes import Runtime

__all__ = ["evaluate_options"]

_REFERENCE = "torch"  # whatever runs it: no candidate has this name
_TURN = 128  # images


def evaluate_options(
    options: Sequence[Candidate],
    weights: Step[Weights],
    images: ImageSet,
    runner: Runner,
    machine: str,
    prepared: str = "",
) -> Evaluation:
    """Run the reference and every candidate over the evaluation set, in one pass.

    Args:
        options: Candidates to evaluate.
        weights: Unfolded weights; the reference is the model as it was trained.
        images: The evaluation set.
        runner: Runner of this build; its cache keeps logits of equal graphs on equal images.
        machine: Fingerprint of this machine; another CPU may compute other logits.
        prepared: Words on how the images are prepared, if not as the model states; for progress.
    """
    recipe, info = runner.recipe, weights.value.info
    own = {"artefact": weights.digest, "runtime": reference_runtime(weights.value)}
    runs = {_REFERENCE: own}
    for option in options:
        runs[option.name] = {
            "artefact": option.digest,
            "runtime": option.runtime,
            "hint": str(option.hint),
            **dict(option.settings),
        }

    def infer(names: Sequence[str]) -> dict[str, Logits]:
        loaded = {name: _load(name, options, weights.value, recipe) for name in names}
        what = f"evaluating {_name_runs(names)} on {len(images):,} images{prepared}"
        return _infer_all(loaded, images, info, recipe.evaluate.batch, runner.track, what)

    found = runner.logits(runs, images.content_digest, asdict(info.preprocess), machine, infer)
    labels = np.array([sample.label for sample in images.samples], dtype=np.int64)
    hashes = tuple(sample.sha256 for sample in images.samples)
    predictions = {name: Predictions(step.value, labels, hashes) for name, step in found.items()}
    reference = predictions.pop(_REFERENCE)
    return Evaluation(
        reference,
        predictions,
        {name: compare_predictions(reference, one) for name, one in predictions.items()},
        all(step.status == "cached" for step in found.values()),
        sum(step.seconds for step in found.values()),
    )


def _name_runs(names: Sequence[str]) -> str:
    """What runs, in words: `the float model and 3 candidates`."""
    count = sum(name != _REFERENCE for name in names)
    candidates = [f"{count} candidate{'s' if count > 1 else ''}"] if count else []
    return " and ".join([*(["the float model"] if _REFERENCE in names else []), *candidates])


def _load(name: str, options: Sequence[Candidate], weights: Weights, recipe: Recipe) -> Runtime:
    threads = recipe.benchmark.threads
    if name == _REFERENCE:
        return load_reference(weights, threads)
    option = next(option for option in options if option.name == name)
    return load_candidate(option, recipe.evaluate.batch, threads)


def _infer_all(
    runtimes: Mapping[str, Runtime],
    images: ImageSet,
    info: ModelInfo,
    batch: int,
    track: Track,
    what: str,
) -> dict[str, Logits]:
    """Decode each batch once and give it to every runtime."""
    found: dict[str, Logits] = {}  # 4 bytes for each image, class and runtime
    start = 0
    # Many inferences per turn, so that one runtime's threads sleep before the next one starts.
    decoded = batch * max(1, _TURN // batch)
    batches = iter_batches(images.samples, info.preprocess, decoded, info.in_channels)
    for part in track(batches, what, -(-len(images) // decoded)):
        for name, runtime in runtimes.items():
            logits = check_logits(runtime.infer(part), name)
            if name not in found:
                found[name] = np.empty((len(images), logits.shape[1]), np.float32)
            found[name][start : start + len(part)] = logits
        start += len(part)
    return found

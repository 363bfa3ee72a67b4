"""Evaluate candidates: each is one graph in one runtime at one float precision."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.build.runner import Logits, Runner
from edge_convnext.core.artifacts import ModelInfo, Weights
from edge_convnext.core.progress import Track
from edge_convnext.core.quotas import usable_cores
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Step
from edge_convnext.data.batches import iter_batches
from edge_convnext.data.images import ImageSet
from edge_convnext.measure.accuracy import (
    Predictions,
    check_logits,
    compare_predictions,
)
from edge_convnext.measure.candidates import Candidate, load_candidate, load_each
from edge_convnext.measure.evaluation import Evaluation
from edge_convnext.runtimes.reference import load_reference, reference_runtime

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        wanted = [option for option in options if option.name in names]
        lanes = _count_lanes(wanted, recipe.benchmark.threads)
        loaded = _load_all(wanted, recipe, lanes)
        reference = None
        if _REFERENCE in names:
            reference = load_reference(weights.value, recipe.benchmark.threads)
        what = f"evaluating {_name_runs(names)} on {len(images):,} images{prepared}"
        return _infer_all(
            reference, loaded, lanes, images, info, recipe.evaluate.batch, runner.track, what
        )

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


def _count_lanes(candidates: Sequence[Candidate], threads: int | None) -> int:
    """How many candidates run at once: two, on half of the cores each, if nothing forbids it.

    Threads of one inference wait for each other; those of two don't. The logits are the same.
    """
    alone = threads is not None or any(candidate.on_gpu for candidate in candidates)
    return 1 if alone else max(1, min(2, usable_cores(), len(candidates)))


def _load_all(candidates: Sequence[Candidate], recipe: Recipe, lanes: int) -> dict[str, Runtime]:
    threads = usable_cores() // lanes if lanes > 1 else recipe.benchmark.threads
    batch = recipe.evaluate.batch
    loaded = load_each(candidates, lambda one: load_candidate(one, batch, threads))
    return {one.name: runtime for one, runtime in zip(candidates, loaded, strict=True)}


def _infer_all(
    reference: Runtime | None,
    runtimes: Mapping[str, Runtime],
    lanes: int,
    images: ImageSet,
    info: ModelInfo,
    batch: int,
    track: Track,
    what: str,
) -> dict[str, Logits]:
    """Decode each batch once and give it to every runtime; to the reference alone, first."""
    found: dict[str, Logits] = {}  # 4 bytes for each image, class and runtime
    spent_s = dict.fromkeys(runtimes, 0.0)
    start = 0
    # Many inferences per turn, so that one runtime's threads sleep before the next one starts.
    decoded = batch * max(1, _TURN // batch)
    batches = iter_batches(images.samples, info.preprocess, decoded, info.in_channels)

    def infer(name: str, runtime: Runtime, part: NDArray[np.float32]) -> None:
        started = time.perf_counter()
        logits = check_logits(runtime.infer(part), name)
        if name not in found:
            found[name] = np.empty((len(images), logits.shape[1]), np.float32)
        found[name][start : start + len(part)] = logits
        spent_s[name] = time.perf_counter() - started

    with ThreadPoolExecutor(lanes, thread_name_prefix="evaluate") as pool:
        for part in track(batches, what, -(-len(images) // decoded)):
            if reference is not None:
                infer(_REFERENCE, reference, part)
            slowest_first = sorted(runtimes, key=lambda name: -spent_s[name])
            for done in [pool.submit(infer, one, runtimes[one], part) for one in slowest_first]:
                done.result()
            start += len(part)
    return found

"""Accuracy, latency and energy of the candidates on the board."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.errors import ArtifactError, EdgeConvNextError, InferenceError
from edge_convnext.core.files import atomic_path
from edge_convnext.data.preprocess import PIXELS
from edge_convnext.measure.accuracy import (
    Comparison,
    Predictions,
    check_logits,
    compare_predictions,
)
from edge_convnext.measure.candidates import load_candidate
from edge_convnext.report.described import EnergyReport, LeftOutReport
from edge_convnext.runtimes.lint import lint, targets_here

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_convnext.core.progress import Track
    from edge_convnext.devices.bench.readings import Meter
    from edge_convnext.devices.bundle.unpacked import UnpackedEvaluation
    from edge_convnext.measure.candidates import Candidate

__all__ = [
    "compare",
    "evaluate_candidates",
    "measure_energy",
    "require_fitting",
    "try_candidates",
]

_INFERENCES_PER_TURN = 8
_IMAGES_PER_TURN = 256  # the most images in memory together, unless a batch is larger


def try_candidates(
    candidates: Sequence[Candidate], images: NDArray[np.float32], threads: int | None
) -> tuple[list[Candidate], list[LeftOutReport]]:
    """Run each candidate once, and leave out those that a runtime refuses.

    Returns:
        The candidates that run, and the others with reasons.

    Raises:
        ArtifactError: No candidate runs.
    """
    kept: list[Candidate] = []
    refused: list[LeftOutReport] = []
    for one in candidates:
        try:
            logits = load_candidate(one, 1, threads).infer(images[:1])
            check_logits(logits, one.name)
        except EdgeConvNextError as error:
            refused.append(LeftOutReport(artifact=one.name, reason=_why_not(one, error)))
        else:
            kept.append(one)
    if not kept:
        why = refused[0].reason if refused else "no runtime for them is installed"
        raise ArtifactError(f"none of the bundle's graphs runs here: {why}")
    return kept, refused


def _why_not(one: Candidate, error: EdgeConvNextError) -> str:
    """Why a candidate does not run: what lint knows of it, and the words of the runtime."""
    targets = () if one.on_gpu else targets_here(one.runtime)
    try:
        findings = [finding for target in targets for finding in lint(one.model.path, target)]
    except EdgeConvNextError:  # what is no graph is told by the runtime
        findings = []
    known = next((finding for finding in findings if finding.severity == "error"), None)
    return str(error) if known is None else f"{known} ({error})"


def evaluate_candidates(
    candidates: Sequence[Candidate],
    evaluation: UnpackedEvaluation,
    batch: int,
    threads: int | None,
    folder: Path,
    machine: Mapping[str, object],
    track: Track,
) -> tuple[dict[str, Predictions], list[LeftOutReport]]:
    """Compute every candidate's logits on every image; `folder` has those of an earlier run.

    A candidate with a logit that is not finite is left out, with the reason.

    Args:
        candidates: Candidates to evaluate.
        evaluation: The bundle's images.
        batch: Images per inference.
        threads: Threads of a runtime; None for all.
        folder: Folder that keeps logits, by content.
        machine: Fingerprint and versions of the machine, which also decide logits.
        track: Progress over the images.

    Returns:
        Predictions by candidate, and the candidates that were left out.

    Raises:
        ArtifactError: No candidate has finite logits on every image.
    """
    refused: list[LeftOutReport] = []
    reference = evaluation.reference
    paths = {
        one.name: folder / _logits_name(one, reference, machine, batch, threads)
        for one in candidates
    }
    shape = reference.logits.shape
    found = {
        name: logits for name, path in paths.items() if (logits := _read(path, shape)) is not None
    }
    wanted = [one for one in candidates if one.name not in found]
    if wanted:
        runtimes = {one.name: load_candidate(one, batch, threads) for one in wanted}
        pieces: dict[str, list[NDArray[np.float32]]] = {name: [] for name in runtimes}
        step = max(batch, min(batch * _INFERENCES_PER_TURN, _IMAGES_PER_TURN))
        count = f"{len(runtimes)} candidate{'s' if len(runtimes) > 1 else ''}"
        what = f"evaluating {count} on {len(evaluation):,} images"
        parts = track(evaluation.batches(step), what, -(-len(evaluation) // step))
        for part in parts:  # each image is decoded once for all candidates
            for name, runtime in runtimes.items():
                pieces[name].append(runtime.infer(part))
        for name, outputs in pieces.items():
            try:
                found[name] = check_logits(np.concatenate(outputs), name)
            except InferenceError as error:
                refused.append(LeftOutReport(artifact=name, reason=str(error)))
                continue
            with atomic_path(paths[name]) as scratch, scratch.open("wb") as file:
                np.save(file, found[name], allow_pickle=False)
    if not found:
        raise ArtifactError(f"none of the bundle's graphs can be used here: {refused[0].reason}")
    predictions = {
        one.name: Predictions(found[one.name], reference.labels, reference.sha256s)
        for one in candidates
        if one.name in found
    }
    return predictions, refused


def compare(
    reference: Predictions, predictions: Mapping[str, Predictions]
) -> dict[str, Comparison]:
    """Compare predictions with the build's FP32 answers; without its logits there is no SQNR."""
    return {
        name: replace(compare_predictions(reference, one), sqnr_db=None)
        for name, one in predictions.items()
    }


def require_fitting(candidates: Sequence[Candidate], batches: Sequence[int]) -> None:
    """Fail before the timings if no batch size can be timed.

    Raises:
        ArtifactError: No candidate fits any of the batch sizes.
    """
    if not any(one.fits(batch) for one in candidates for batch in batches):
        sizes = sorted({one.batch for one in candidates if one.batch})
        raise ArtifactError(
            f"the bundle's graphs are of batch {', '.join(map(str, sizes))} and can't be timed at "
            f"batch {', '.join(map(str, batches))}; pass one of theirs with --batch"
        )


def measure_energy(
    candidates: Iterable[Candidate],
    images: NDArray[np.float32],
    batch: int,
    threads: int | None,
    seconds: float,
    meter: Meter,
) -> tuple[EnergyReport, ...]:
    """Run each candidate back to back for some seconds while power is read.

    Args:
        candidates: Candidates that fit the batch size.
        images: Normalised images, float32[N, C, H, W]; repeated to fill a batch.
        batch: Images per inference.
        threads: Threads of a runtime; None for all.
        seconds: Seconds of work for each candidate.
        meter: The board's power meter.
    """
    inputs = np.resize(images, (batch, *images.shape[1:]))
    reports = []
    for one in candidates:
        runtime = load_candidate(one, batch, threads)
        runtime.infer(inputs)
        meter.start()
        started = time.perf_counter()
        done = 0
        while (spent := time.perf_counter() - started) < seconds or not done:
            runtime.infer(inputs)
            done += batch
        figures = meter.stop()
        if figures is None:
            continue
        reports.append(
            EnergyReport(
                artifact=one.name,
                batch=batch,
                mean_w=figures.mean_w,
                idle_w=figures.idle_w,
                energy_mj_per_image=1e3 * figures.mean_w * spent / done,
                images=done,
                samples=figures.samples,
                power_scope=figures.scope,
                power_source=figures.source,
            )
        )
    return tuple(reports)


def _logits_name(
    candidate: Candidate,
    reference: Predictions,
    machine: Mapping[str, object],
    batch: int,
    threads: int | None,
) -> str:
    facts = [
        "logits/2",
        PIXELS,
        candidate.digest,
        candidate.runtime,
        candidate.hint,
        candidate.settings,
        reference.sha256s,
        dict(machine),
        batch,
        threads,
    ]
    text = json.dumps(facts, sort_keys=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """Read logits of an earlier run; None if there are none, or they are damaged."""
    try:
        logits = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = logits.dtype == np.float32 and logits.shape == shape and np.isfinite(logits).all()
    return np.asarray(logits) if whole else None

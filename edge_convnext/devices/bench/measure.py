"""Accuracy, latency and energy of what runs on the board."""

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
from edge_convnext.core.quotas import sum_periods
from edge_convnext.data.preprocess import PIXELS
from edge_convnext.measure.accuracy import (
    Comparison,
    Predictions,
    check_logits,
    compare_predictions,
)
from edge_convnext.measure.benchmark import BenchmarkResult, benchmark, judge
from edge_convnext.report.contract import EnergyReport, LeftOutReport
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_convnext.core.progress import Track
    from edge_convnext.core.recipe import BenchmarkConfig
    from edge_convnext.devices.bench.entries import Entry
    from edge_convnext.devices.bench.readings import Meter
    from edge_convnext.devices.bundle.read import UnpackedEvaluation
    from edge_convnext.runtimes import Runtime

__all__ = [
    "compare",
    "evaluate_entries",
    "judge_entries",
    "measure_energy",
    "race",
    "try_entries",
]

_INFERENCES_PER_TURN = 8
_IMAGES_PER_TURN = 256  # at most, or the images of a batch: they are in memory together


def try_entries(
    entries: Sequence[Entry], images: NDArray[np.float32], threads: int | None
) -> tuple[list[Entry], list[LeftOutReport]]:
    """Run each once: what a runtime refuses is left out, with its reason, and the rest goes on.

    Raises:
        ArtifactError: Nothing is left.
    """
    kept: list[Entry] = []
    refused: list[LeftOutReport] = []
    for entry in entries:
        try:
            logits = _load(entry, entry.graph.batch or 1, threads).infer(images[:1])
            check_logits(logits, entry.name)
        except EdgeConvNextError as error:
            refused.append(LeftOutReport(artifact=entry.name, reason=str(error)))
        else:
            kept.append(entry)
    if not kept:
        why = refused[0].reason if refused else "no runtime for them is installed"
        raise ArtifactError(f"none of the bundle's graphs runs here: {why}")
    return kept, refused


def evaluate_entries(
    entries: Sequence[Entry],
    evaluation: UnpackedEvaluation,
    batch: int,
    threads: int | None,
    folder: Path,
    machine: Mapping[str, object],
    track: Track,
) -> tuple[dict[str, Predictions], list[LeftOutReport]]:
    """Logits of every entry on every image; those of an earlier run are taken from `folder`.

    One that gives an image no numbers is left out, with its reason.

    Args:
        entries: What to evaluate.
        evaluation: The bundle's images.
        batch: Images per inference.
        threads: None: all.
        folder: Where logits are kept, by content.
        machine: What else decides logits: fingerprint and versions.
        track: Shows the images.

    Raises:
        ArtifactError: None gives every image numbers.
    """
    refused: list[LeftOutReport] = []
    reference = evaluation.reference
    paths = {entry.name: folder / _logits_name(entry, reference, machine) for entry in entries}
    shape = reference.logits.shape
    found = {
        name: logits for name, path in paths.items() if (logits := _read(path, shape)) is not None
    }
    wanted = [entry for entry in entries if entry.name not in found]
    if wanted:
        runtimes = {entry.name: _load(entry, batch, threads) for entry in wanted}
        pieces: dict[str, list[NDArray[np.float32]]] = {name: [] for name in runtimes}
        step = max(batch, min(batch * _INFERENCES_PER_TURN, _IMAGES_PER_TURN))
        parts = track(evaluation.batches(step), "evaluating", -(-len(evaluation) // step))
        for part in parts:  # each is decoded once for all
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
        entry.name: Predictions(found[entry.name], reference.labels, reference.sha256s)
        for entry in entries
        if entry.name in found
    }
    return predictions, refused


def compare(
    reference: Predictions, predictions: Mapping[str, Predictions]
) -> dict[str, Comparison]:
    """Paired with the desk's FP32, of which only the answers are known: no signal to noise."""
    return {
        name: replace(compare_predictions(reference, one), sqnr_db=None)
        for name, one in predictions.items()
    }


def race(
    entries: Sequence[Entry],
    images: NDArray[np.float32],
    config: BenchmarkConfig,
    seed: int,
    track: Track,
) -> BenchmarkResult:
    """Time all entries that fit a batch size against each other, one batch size after another.

    Raises:
        ArtifactError: No entry fits any of the batch sizes.
    """
    results = []
    for batch in config.batches:
        fitting = [entry.candidate for entry in entries if entry.fits(batch)]
        if fitting:
            one = config.model_copy(update={"batches": (batch,)})
            results.append(benchmark(fitting, images, one, seed, track))
    if not results:
        sizes = sorted({entry.graph.batch for entry in entries if entry.graph.batch})
        raise ArtifactError(
            f"the bundle's graphs are of batch {', '.join(map(str, sizes))} and can't be timed at "
            f"batch {', '.join(map(str, config.batches))}; pass one of theirs with --batch"
        )
    loads = [one.other_load_pct for one in results if one.other_load_pct is not None]
    return BenchmarkResult(
        tuple(row for one in results for row in one.rows),
        tuple(info for one in results for info in one.runtimes),
        max(loads, default=None),
        turns={key: own for one in results for key, own in one.turns.items()},
        throttled_periods=sum_periods(one.throttled_periods for one in results),
    )


def judge_entries(
    timings: BenchmarkResult,
    finalists: Sequence[Entry],
    images: NDArray[np.float32],
    config: BenchmarkConfig,
    seed: int,
    track: Track,
) -> BenchmarkResult:
    """Time what was chosen in fresh loads, engines deserialised anew; see `benchmark.judge`."""
    batch = min(row.batch for row in timings.rows)
    one = config.model_copy(update={"batches": (batch,)})
    candidates = [entry.candidate for entry in {entry.name: entry for entry in finalists}.values()]
    return judge(timings, candidates, images, one, seed, track)


def measure_energy(
    entries: Iterable[Entry],
    images: NDArray[np.float32],
    batch: int,
    threads: int | None,
    seconds: float,
    meter: Meter,
) -> tuple[EnergyReport, ...]:
    """Run each entry back to back for some seconds while power is read.

    Args:
        entries: What fits the batch size.
        images: float32[N, C, H, W]; repeated to fill a batch.
        batch: Images per inference.
        threads: None: all.
        seconds: Of each.
        meter: The board's.
    """
    inputs = np.resize(images, (batch, *images.shape[1:]))
    reports = []
    for entry in entries:
        runtime = _load(entry, batch, threads)
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
                artifact=entry.name,
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


def _load(entry: Entry, batch: int, threads: int | None) -> Runtime:
    candidate = entry.candidate
    options = RuntimeOptions(
        threads, entry.graph.batch or batch, candidate.precision_hint, candidate.settings
    )
    return load_runtime(candidate.runtime, candidate.path, options)


def _logits_name(entry: Entry, reference: Predictions, machine: Mapping[str, object]) -> str:
    candidate = entry.candidate
    facts = [
        "logits/1",
        PIXELS,
        entry.identity,
        candidate.runtime,
        candidate.precision_hint,
        candidate.settings,
        reference.sha256s,
        dict(machine),
    ]
    text = json.dumps(facts, sort_keys=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """Logits of an earlier run; None where there are none, or they are damaged."""
    try:
        logits = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = logits.dtype == np.float32 and logits.shape == shape and np.isfinite(logits).all()
    return np.asarray(logits) if whole else None

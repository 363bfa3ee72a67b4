"""What each graph says of the evaluation images, in each configuration.

Every pair runs in a process of its own: a runtime that crashes on a graph is a row.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.configurations import Configuration, available_configurations, load
from benchmarks.peers.produce import explain, read_record, write_record
from benchmarks.peers.task import Graph, Task
from edge_convnext.core.files import atomic_path, sha256_bytes, sha256_file
from edge_convnext.core.isolate import IsolatedFailure, run_isolated
from edge_convnext.core.metrics import agreement_pct, sqnr_db
from edge_convnext.measure.accuracy import (
    Comparison,
    Predictions,
    check_logits,
    compare_predictions,
    measure_accuracy,
)
from edge_convnext.runtimes.interface import usable_cores

__all__ = ["Candidate", "evaluate", "threads_of"]

_BATCH = 16  # images
_TIME_LIMIT_S = 900


@dataclass(frozen=True)
class Candidate:
    """One graph in one configuration, and how well it does or why it does nothing."""

    graph: Graph
    configuration: Configuration
    reason: str | None = None  # why it can't run
    top1_pct: float | None = None  # None: no labels
    comparison: Comparison | None = None  # with the raw graph in ONNX Runtime
    agreement_pct: float | None = None
    sqnr_db: float | None = None  # None as well where the logits are equal

    @property
    def label(self) -> str:
        """Unique within a run."""
        return f"{self.graph.label} in {self.configuration}"

    @property
    def runtime(self) -> str:
        """Without its hint."""
        return self.configuration.split(" ")[0]


def threads_of(task: Task) -> int:
    """Of every inference."""
    return task.recipe.benchmark.threads or usable_cores()


def evaluate(task: Task, graphs: Sequence[Graph], retry: bool = False) -> list[Candidate]:
    """Run every graph in every configuration that it is for, unless that was done before.

    Args:
        task: With the images.
        graphs: The raw float one first: it is the reference.
        retry: Whether to try once more what failed.
    """
    images = np.load(task.images, mmap_mode="r")
    found: list[Candidate] = []
    reference: NDArray[np.float32] | None = None
    for graph in graphs:
        for configuration in available_configurations() if graph.path else ():
            if graph.only_runtime not in (None, configuration.split(" ")[0]):
                continue
            candidate = Candidate(graph, configuration)
            logits = _find_logits(task, candidate, retry)
            if isinstance(logits, str):
                if reference is None:
                    raise RuntimeError(f"the reference failed: {logits}")
                found.append(Candidate(graph, configuration, logits))
                continue
            reference = logits if reference is None else reference
            assert len(logits) == len(images)
            found.append(_compare(candidate, reference, logits, task.labels))
            _show(found[-1])
    return found


def _compare(
    candidate: Candidate,
    reference: NDArray[np.float32],
    logits: NDArray[np.float32],
    labels: NDArray[np.int64] | None,
) -> Candidate:
    graph, configuration = candidate.graph, candidate.configuration
    agreement, sqnr = agreement_pct(reference, logits), sqnr_db(reference, logits)
    if labels is None:  # random weights: their classes mean nothing, their distance does
        return Candidate(graph, configuration, agreement_pct=agreement, sqnr_db=sqnr)
    names = tuple(map(str, range(len(labels))))  # the same images in the same order
    before, after = (Predictions(one, labels, names) for one in (reference, logits))
    return Candidate(
        graph,
        configuration,
        None,
        measure_accuracy(after).top1_pct,
        compare_predictions(before, after),
        agreement,
        sqnr,
    )


def _find_logits(task: Task, candidate: Candidate, retry: bool) -> NDArray[np.float32] | str:
    """Logits, or why there are none."""
    path, threads = candidate.graph.path, threads_of(task)
    assert path is not None
    contents = "".join(sha256_file(file) for file in candidate.graph.files)
    digest, configuration = sha256_bytes(contents.encode()), candidate.configuration
    folder = task.folder / "logits" / f"{digest[:16]}-{configuration.replace(' ', '-')}"
    versions = [f"{name} {task.machine['versions'].get(name)}" for name in (candidate.runtime,)]
    key = [digest, configuration, task.images.name, str(threads), *versions]
    outcome = read_record(folder, key, retry)
    if outcome is None:
        arguments = (path, configuration, threads, task.images, folder / "logits.npy")
        done = run_isolated(infer_all, arguments, _TIME_LIMIT_S)
        reason = explain(done.reason) if isinstance(done, IsolatedFailure) else None
        outcome = {"reason": reason}
        write_record(folder, key, outcome)
    if outcome["reason"]:
        return str(outcome["reason"])
    logits: NDArray[np.float32] = np.load(folder / "logits.npy")
    return logits


def infer_all(
    path: Path, configuration: Configuration, threads: int, images: Path, out: Path
) -> None:
    """Write the logits of all images: float32[n, classes].

    Args:
        path: Of the graph.
        configuration: To run it in.
        threads: CPU threads.
        images: float32[n, 3, S, S], an .npy file.
        out: An .npy file.
    """
    model, pixels = load(path, configuration, threads, _BATCH), np.load(images, mmap_mode="r")
    pieces = []
    for start in range(0, len(pixels), _BATCH):
        piece = np.ascontiguousarray(pixels[start : start + _BATCH])
        filled = np.resize(piece, (_BATCH, *piece.shape[1:]))
        pieces.append(model.infer(filled)[: len(piece)])
    with atomic_path(out) as scratch, scratch.open("wb") as file:
        np.save(file, check_logits(np.concatenate(pieces), configuration))


def _show(candidate: Candidate) -> None:
    drop = "" if candidate.comparison is None else f"{candidate.comparison.top1_drop_pp:+.2f} pp, "
    sys.stderr.write(
        f"  {candidate.label}: {drop}agreement {candidate.agreement_pct:.2f} %, "
        f"{candidate.sqnr_db or 999:.1f} dB\n"
    )

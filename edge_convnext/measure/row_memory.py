"""The peak memory of candidates that were timed, each in a process of its own."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.errors import InferenceError
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.quotas import usable_cores
from edge_convnext.measure.memory import PeakMemory, measure_peak_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.timings import BenchmarkResult, TimedRow

__all__ = ["add_memory", "try_memory"]

_log = logging.getLogger(__name__)


def add_memory(
    result: BenchmarkResult,
    candidates: Sequence[Candidate],
    images: NDArray[np.float32],
    track: Track = untracked,
) -> BenchmarkResult:
    """Measure the peak memory of some candidates that were timed without it.

    Args:
        result: Result of `benchmark` with the same images.
        candidates: Some of its candidates.
        images: Images as for `benchmark`.
        track: Shows the candidates.

    Returns:
        `result` with the memory in their rows.
    """
    wanted = {one.name: one for one in candidates}
    rows = [row for row in result.rows if row.artifact in wanted]

    def measured(row: TimedRow) -> TimedRow:
        inputs = np.resize(images, (row.batch, *images.shape[1:]))
        return row.with_memory(try_memory(wanted[row.artifact], inputs, row.threads))

    # Nothing is timed now, so that two children may run at once.
    with ThreadPoolExecutor(max_workers=min(2, usable_cores())) as pool:
        each = list(track(pool.map(measured, rows), "memory", len(rows)))
    found = {(row.artifact, row.batch): row for row in each}
    kept = tuple(found.get((row.artifact, row.batch), row) for row in result.rows)
    return replace(result, rows=kept)


def try_memory(
    candidate: Candidate, inputs: NDArray[np.float32], threads: int | None
) -> PeakMemory | None:
    """Peak memory of one candidate; None, and a warning in the log, where it can't be measured.

    Args:
        candidate: Candidate to run.
        inputs: One batch of images, float32[N, C, H, W].
        threads: CPU threads that it has.
    """
    options = candidate.options(len(inputs), threads)
    try:
        return measure_peak_memory(candidate.runtime, candidate.model.path, inputs, options)
    except InferenceError as error:  # memory is left out; the timings are worth keeping
        _log.warning("%s", error)
        return None

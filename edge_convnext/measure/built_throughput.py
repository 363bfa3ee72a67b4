"""Measure how many images per second built models do, after the build that made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import RecipeError
from edge_convnext.core.progress import Track, untracked
from edge_convnext.measure.built_models import list_candidates
from edge_convnext.measure.throughput import ThroughputResult, Wanted, measure_throughput
from edge_convnext.runtimes.tensorrt.sidecar import is_engine_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_convnext.core.artifacts import CpuRuntimeName
    from edge_convnext.core.sections import BenchmarkConfig
    from edge_convnext.runtimes import PrecisionHint

__all__ = ["serve_models"]


def serve_models(
    paths: Sequence[Path],
    runtime: CpuRuntimeName,
    config: BenchmarkConfig,
    hint: PrecisionHint,
    wanted: Wanted,
    track: Track = untracked,
) -> ThroughputResult:
    """Time built models against each other with several requests in flight.

    Args:
        paths: Models that `build` wrote, for the CPU, all of the same input size.
        runtime: Runtime of the graphs; `both` is all that are installed.
        config: Batch sizes, threads, rounds.
        hint: Float type to compute in, if the runtime offers a choice.
        wanted: Percentile and limit of the latency, streams and requests.
        track: Shows the rounds.

    Raises:
        RecipeError: One is an engine, or fewer threads than streams are left.
        EdgeConvNextError: As for `built_models.race_models`.
    """
    for path in paths:
        if is_engine_file(path):
            raise RecipeError(
                f"{path}: throughput is measured of graphs for the CPU; the GPU's own time of an "
                "engine at a larger --batch tells its throughput: leave out --mode"
            )
    candidates, noise = list_candidates(paths, runtime, config, hint)
    return measure_throughput(candidates, noise, config, wanted, track=track)

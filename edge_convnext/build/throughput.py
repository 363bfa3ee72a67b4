"""Throughput of what a build ships, the best float and raw FP32, where the recipe asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.measure.throughput import Wanted, measure_throughput
from edge_convnext.measure.throughput_to_report import report_throughput

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_convnext.build.entrants import Choice, Entrants
    from edge_convnext.build.settle import Prepared
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.throughput import ThroughputResult
    from edge_convnext.report.throughput import ThroughputReport

__all__ = ["report_served", "serve_chosen"]


def serve_chosen(prepared: Prepared, entrants: Entrants, choice: Choice) -> ThroughputResult | None:
    """Measure the throughput of the candidates that a verdict is about.

    Args:
        prepared: Recipe, and images to time on.
        entrants: Candidates of the build, for the raw export.
        choice: Candidate that ships, and the best float.

    Returns:
        None where the recipe does not ask for it, or nothing was timed on this CPU.
    """
    recipe = prepared.runner.recipe
    wanted = [one for one in (choice.chosen, choice.best_float, entrants.raw) if one is not None]
    if not recipe.benchmark.throughput or choice.chosen is None or not prepared.runtimes:
        return None
    candidates = list({one.name: one for one in wanted}.values())
    images = np.concatenate(prepared.samples.load())
    return measure_throughput(
        candidates, images, recipe.benchmark, Wanted(), recipe.seed, prepared.runner.track
    )


def report_served(
    served: ThroughputResult | None,
    choice: Choice,
    raw: Candidate | None,
    label: Callable[[Candidate], str],
) -> ThroughputReport | None:
    """The report's part on throughput; None where it was not measured.

    Args:
        served: Result of `serve_chosen`.
        choice: Candidate that ships, and the best float.
        raw: The raw FP32 export, if it is a candidate.
        label: Gives the name of a candidate in this report.
    """
    if served is None:
        return None
    return report_throughput(
        served, label, chosen=choice.chosen, best_float=choice.best_float, raw=raw
    )

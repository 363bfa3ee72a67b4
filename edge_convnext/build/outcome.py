"""Everything one build made and measured, before it becomes a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_convnext.build.budget import Fallback
from edge_convnext.build.engines import EngineBuild
from edge_convnext.build.graphs import Graphs
from edge_convnext.build.inputs import Inputs
from edge_convnext.build.search_images import SearchImages
from edge_convnext.core.recipe import Recipe, TargetName
from edge_convnext.measure.benchmark import BenchmarkResult
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.evaluation import Evaluation

if TYPE_CHECKING:
    pass

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """Everything one build made and measured, before it becomes a report."""

    recipe: Recipe
    inputs: Inputs
    machine: Mapping[str, Any]  # doctor.environment()
    targets: tuple[TargetName, ...]
    graphs: Graphs
    gpu_options: Sequence[Candidate]  # evaluated in ONNX Runtime, and never raced
    engines: Sequence[EngineBuild]
    options: Sequence[Candidate]  # evaluated, and raced if there are timings
    raw: Candidate | None
    evaluation: Evaluation | None
    fallbacks: Sequence[Fallback]
    searched: SearchImages | None  # where a fallback was found, and which images judge it
    timings: BenchmarkResult | None
    timing_seconds: float
    chosen: Candidate | None  # of the requested precision
    best_float: Candidate | None  # that ships: in whichever runtime is fastest
    rivals: Sequence[
        Candidate
    ] = ()  # floats that may be the fastest; empty where nothing was timed
    for_runtimes: Sequence[Candidate] = ()  # what ships for each runtime alone, of those timed

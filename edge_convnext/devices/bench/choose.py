"""Which file ships on a board: the same rule as a build's, over everything that ran there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.measure.speed import in_the_running, slowest_to_beat

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from edge_convnext.core.artifacts import Precision
    from edge_convnext.devices.bench.entries import Entry
    from edge_convnext.measure.accuracy import Comparison
    from edge_convnext.measure.benchmark import BenchmarkResult

__all__ = ["Choice", "choose"]


@dataclass(frozen=True)
class Choice:
    """The fastest of the requested precision, and the float it has to beat."""

    wanted: Entry | None
    best_float: Entry | None
    rivals: tuple[Entry, ...]  # floats that may be the fastest, and have to be beaten
    unmatched: str | None  # why the two can't be compared
    batch: int  # that latency was compared at


def choose(
    entries: Sequence[Entry],
    precision: Precision,
    timings: BenchmarkResult,
    comparisons: Mapping[str, Comparison],
    max_drop_pp: float,
) -> Choice:
    """Choose at the smallest batch timed, among what keeps the accuracy budget.

    The fastest are found by latency in the rounds that choose. What is on a GPU is told apart in
    the GPU's own time, as the speed-up is, so that nothing faster there is left out.

    Args:
        entries: What ran.
        precision: That the build was asked for.
        timings: Of the entries.
        comparisons: With FP32, by name; empty where nothing was evaluated.
        max_drop_pp: Largest top-1 drop to accept.
    """
    batch = min(row.batch for row in timings.rows)
    timed = {row.artifact for row in timings.rows if row.batch == batch}

    def of(kept: Iterable[Entry]) -> dict[str, Entry]:
        own = [entry for entry in kept if entry.name in timed]
        within = [entry for entry in own if _keeps(entry, comparisons, max_drop_pp)]
        return {entry.name: entry for entry in within or own}

    floats = of(entry for entry in entries if _is_float(entry, precision))
    rivals = tuple(floats[name] for name in in_the_running(timings, list(floats), batch))
    if precision == "fp32":
        best = rivals[0] if rivals else None
        return Choice(best, best, rivals[:1], None, batch)
    quantized = of(entry for entry in entries if entry.candidate.precision == precision)
    fastest = in_the_running(timings, list(quantized), batch)[:1]
    wanted = quantized[fastest[0]] if fastest else None
    best = rivals[0] if rivals else None
    if wanted and rivals:
        names = [one.name for one in rivals]
        best = floats[slowest_to_beat(timings, wanted.name, names, batch)[0]]
    return Choice(wanted, best, rivals, _unmatched(wanted, precision, entries, timed), batch)


def _unmatched(
    wanted: Entry | None, precision: Precision, entries: Iterable[Entry], timed: Collection[str]
) -> str | None:
    """On a GPU the float anybody would ship is FP16; to beat FP32 there means nothing."""
    rival: Precision = "fp16" if precision == "int8" else "fp32"
    if wanted is None or not wanted.on_gpu:
        return None
    if any(
        one.on_gpu and one.candidate.precision == rival and one.name in timed for one in entries
    ):
        return None
    return (
        f"No {rival.upper()} engine of this GPU was timed, which {precision.upper()} has to beat."
    )


def _is_float(entry: Entry, precision: Precision) -> bool:
    """FP32, and for INT8 FP16 too."""
    own = entry.candidate.precision
    return own == "fp32" or (own == "fp16" and precision == "int8")


def _keeps(entry: Entry, comparisons: Mapping[str, Comparison], max_drop_pp: float) -> bool:
    comparison = comparisons.get(entry.name)
    return comparison is None or comparison.top1_drop_pp <= max_drop_pp

"""Which file ships on a board: the same rule as a build's, over everything that ran there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_convnext.artifacts import Precision
    from edge_convnext.benchmark import BenchmarkResult
    from edge_convnext.board.entries import Entry
    from edge_convnext.evaluate import Comparison

__all__ = ["Choice", "choose"]


@dataclass(frozen=True)
class Choice:
    """The fastest of the requested precision, and the float it has to beat."""

    wanted: Entry | None
    best_float: Entry | None
    unmatched: str | None  # why the two can't be compared
    batch: int  # that they were compared at
    gpu_time: bool  # the two were compared in the GPU's own time, not by the latency of a call


def choose(
    entries: Sequence[Entry],
    precision: Precision,
    timings: BenchmarkResult,
    comparisons: Mapping[str, Comparison],
    max_drop_pp: float,
) -> Choice:
    """Choose the fastest at the smallest batch timed, among what keeps the accuracy budget.

    Engines are compared in the GPU's own time where all of them have one, and the fastest of them
    with what runs on the CPU by the latency of a call. So the two that are chosen were compared in
    the unit that their ratio is taken in.

    Args:
        entries: What ran.
        precision: That the build was asked for.
        timings: Of the entries.
        comparisons: With FP32, by name; empty where nothing was evaluated.
        max_drop_pp: Largest top-1 drop to accept.
    """
    batch = min(row.batch for row in timings.rows)
    rows = [row for row in timings.rows if row.batch == batch]
    latency = {row.artifact: row.latency_ms_p50 for row in rows}
    own_ms = {row.artifact: getattr(row, "gpu_ms_p50", None) for row in rows}
    on_gpu = [own_ms[one.name] for one in entries if one.on_gpu and one.name in own_ms]
    in_gpu_time = bool(on_gpu) and None not in on_gpu

    def fastest(of: Sequence[Entry]) -> Entry | None:
        timed = [entry for entry in of if entry.name in latency]
        kept = [entry for entry in timed if _keeps(entry, comparisons, max_drop_pp)] or timed
        engines = [entry for entry in kept if entry.on_gpu and in_gpu_time]
        if engines:
            engine = min(engines, key=lambda entry: own_ms[entry.name] or 0.0)
            kept = [engine, *(entry for entry in kept if not entry.on_gpu)]
        return min(kept, key=lambda entry: latency[entry.name], default=None)

    floats = [entry for entry in entries if _is_float(entry, precision)]
    best_float = fastest(floats)
    if precision == "fp32":
        return Choice(best_float, best_float, None, batch, in_gpu_time)
    wanted = fastest([entry for entry in entries if entry.candidate.precision == precision])
    unmatched = None
    # On a GPU the float anybody would ship is FP16; to beat FP32 there means nothing.
    rival: Precision = "fp16" if precision == "int8" else "fp32"
    if (
        wanted is not None
        and wanted.on_gpu
        and not any(
            entry.on_gpu and entry.candidate.precision == rival and entry.name in latency
            for entry in floats
        )
    ):
        unmatched = (
            f"No {rival.upper()} engine of this GPU was timed, which {precision.upper()} has to "
            "beat."
        )
    both = all(one is not None and one.on_gpu for one in (wanted, best_float))
    return Choice(wanted, best_float, unmatched, batch, in_gpu_time and both)


def _is_float(entry: Entry, precision: Precision) -> bool:
    """FP32, and for INT8 FP16 too."""
    own = entry.candidate.precision
    return own == "fp32" or (own == "fp16" and precision == "int8")


def _keeps(entry: Entry, comparisons: Mapping[str, Comparison], max_drop_pp: float) -> bool:
    comparison = comparisons.get(entry.name)
    return comparison is None or comparison.top1_drop_pp <= max_drop_pp

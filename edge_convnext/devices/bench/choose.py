"""Choose the file that ships on a board: a build's rule, over everything that ran there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.metrics import sqnr_db
from edge_convnext.measure.choose import within_budget
from edge_convnext.measure.speed import in_the_running, slowest_to_beat
from edge_convnext.measure.worth import nearest_of_fastest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from edge_convnext.core.artifacts import Precision
    from edge_convnext.measure.accuracy import Comparison
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.evaluation import Evaluation
    from edge_convnext.measure.timings import BenchmarkResult

__all__ = ["Choice", "Nearness", "choose", "near_float"]


@dataclass(frozen=True)
class Choice:
    """The candidate of the requested precision that ships, and the float that it has to beat."""

    wanted: Candidate | None
    best_float: Candidate | None
    rivals: tuple[Candidate, ...]  # float candidates that may be the fastest one to beat
    unmatched: str | None  # the reason if the two can't be compared
    batch: int  # batch size at which latency was compared
    # Names of those that are as fast as `wanted`, where nothing tells which is nearest to FP32.
    as_fast: tuple[str, ...] = ()

    @property
    def finalists(self) -> tuple[Candidate, ...]:
        """Candidates that are loaded again and judged: what may ship, and what it has to beat."""
        return (*([self.wanted] if self.wanted else []), *self.rivals)


@dataclass(frozen=True)
class Nearness:
    """How near candidates are to FP32."""

    by_name: Mapping[str, float]  # more is nearer
    in_db: bool  # SQNR in dB; else the share of the images with FP32's class, in percent


def choose(
    candidates: Sequence[Candidate],
    precision: Precision,
    timings: BenchmarkResult,
    comparisons: Mapping[str, Comparison],
    max_drop_pp: float,
    nearness: Nearness | None = None,
) -> Choice:
    """Choose at the smallest timed batch, among candidates that keep the accuracy budget.

    Latency in the rounds for choosing decides which are fastest; of those that are as fast, the
    nearest to FP32 ships, as in a build. Candidates on a GPU are compared by GPU time, as the
    speed-up is, so that none that is faster there is left out.

    Args:
        candidates: Candidates that ran.
        precision: Precision that the build was asked for.
        timings: Times of the candidates.
        comparisons: Comparison of each candidate with FP32, by name; empty if nothing was
            evaluated.
        max_drop_pp: Largest top-1 drop to accept.
        nearness: Nearness of each candidate to FP32; None if that is not known.
    """
    batch = min(row.batch for row in timings.rows)
    timed = {row.artifact for row in timings.rows if row.batch == batch}

    def of(kept: Iterable[Candidate]) -> dict[str, Candidate]:
        own = [one for one in kept if one.name in timed]
        return {one.name: one for one in within_budget(own, comparisons, max_drop_pp)}

    floats = of(one for one in candidates if _is_float(one.model.precision, precision))
    rivals = tuple(floats[name] for name in in_the_running(timings, list(floats), batch))
    if precision == "fp32":
        best = rivals[0] if rivals else None
        return Choice(best, best, rivals[:1], None, batch)
    quantized = of(one for one in candidates if one.model.precision == precision)
    to_beat_ms = min((timings.selecting_ms(name, batch) for name in floats), default=None)
    tied = _order_fastest(
        list(quantized.values()), timings, batch, nearness, comparisons, to_beat_ms
    )
    wanted = tied[0] if tied else None
    as_fast = () if nearness and nearness.by_name else tuple(one.name for one in tied[1:])
    best = rivals[0] if rivals else None
    if wanted and rivals:
        names = [one.name for one in rivals]
        best = floats[slowest_to_beat(timings, wanted.name, names, batch)[0]]
    unmatched = _unmatched(wanted, precision, candidates, timed)
    return Choice(wanted, best, rivals, unmatched, batch, as_fast)


def _order_fastest(
    options: Sequence[Candidate],
    timings: BenchmarkResult,
    batch: int,
    nearness: Nearness | None,
    comparisons: Mapping[str, Comparison],
    to_beat_ms: float | None,
) -> list[Candidate]:
    if not options:
        return []
    near = nearness or Nearness({}, in_db=False)
    return nearest_of_fastest(
        options,
        timings,
        batch,
        lambda one: near.by_name.get(one.name, -math.inf),
        comparisons,
        to_beat_ms,
        in_db=near.in_db,
    )


def near_float(candidates: Iterable[Candidate], evaluation: Evaluation | None) -> Nearness | None:
    """How near each candidate is to FP32, as far as it shows here.

    A bundle has the classes that the build's FP32 answered, and no logits. So it is the SQNR of the
    logits to those of an FP32 graph that ran here, in dB, infinite where they are equal. Where none
    did, it is the share of the images with the build's class, in percent.

    Args:
        candidates: Candidates that ran.
        evaluation: Their logits on the bundle's images; None: it has none, and nothing is known.
    """
    if evaluation is None:
        return None
    floats = (
        one.name
        for one in candidates
        if one.model.precision == "fp32" and one.hint in (None, "f32") and not one.on_gpu
    )
    name = next((name for name in floats if name in evaluation.options), None)
    if name is None:
        shares = {each: found.agreement_pct for each, found in evaluation.comparisons.items()}
        return Nearness(shares, in_db=False)
    reference = evaluation.options[name].logits
    found = {each: sqnr_db(reference, one.logits) for each, one in evaluation.options.items()}
    return Nearness(
        {each: math.inf if db is None else db for each, db in found.items()}, in_db=True
    )


def _unmatched(
    wanted: Candidate | None,
    precision: Precision,
    candidates: Iterable[Candidate],
    timed: Collection[str],
) -> str | None:
    """Say why there is nothing to beat: on a GPU the rival is FP16, because nobody ships FP32."""
    rival: Precision = "fp16" if precision == "int8" else "fp32"
    if wanted is None or not wanted.on_gpu:
        return None
    timed_here = (one for one in candidates if one.on_gpu and one.name in timed)
    if any(one.model.precision == rival for one in timed_here):
        return None
    return (
        f"No {rival.upper()} engine of this GPU was timed, which {precision.upper()} has to beat."
    )


def _is_float(own: Precision, wanted: Precision) -> bool:
    """True for a float rival: FP32, and for INT8 also FP16."""
    return own == "fp32" or (own == "fp16" and wanted == "int8")

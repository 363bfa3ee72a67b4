"""The trials of a search: which plan wins, and which candidates are to be raced on a GPU."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from edge_convnext.core.errors import RecipeError
from edge_convnext.core.percentages import show_pp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.build.tuning.cost_model import PlanCost
    from edge_convnext.core.artifacts import CpuRuntimeName, Parity
    from edge_convnext.measure.halving import Lap
    from edge_convnext.networks.plans import Plan
    from edge_convnext.runtimes import PrecisionHint

__all__ = [
    "CANDIDATES",
    "REFINING",
    "WORTH",
    "GpuTrial",
    "Refined",
    "Trial",
    "choose",
    "choose_by_accuracy",
    "choose_candidates",
    "holds",
    "is_alike",
    "rank",
]

CANDIDATES = 3  # plans of each precision and batch size that are to be raced on the GPU

_BROKEN_DB = 10.0  # an SQNR below this is no rounding error: sound graphs of a race have 25 or more
_ALIKE = 0.01  # largest difference in bytes between plans that count as alike
WORTH = 1.02  # speed-up that a setting or an approximation has to bring
REFINING = 3  # heat of the first race of groups of products; each later one has the next number


@dataclass(frozen=True)
class Trial:
    """One plan in one runtime, at one float precision of what is not quantized."""

    runtime: CpuRuntimeName
    plan: Plan
    hint: PrecisionHint | None  # None for a plan that was not tried
    lap: Lap | None  # None where it was not timed
    parity: Parity | None  # logits against the float graph on calibration images; finalists only
    top1_drop_pp: float | None  # finalists only, and only with labelled data
    nodes: int | None
    won: bool
    reason: str  # why it won or lost
    heat: int = 1  # number of the race within the search; only laps of one heat are comparable
    # Parity on calibration images that set no range, for the winner and its other range
    # estimators. They run the same kernels and share a lap.
    apart: Parity | None = None
    wrong: str | None = None  # of finalists: why it must not ship


class Refined(NamedTuple):
    """What came of changing the plan that won by role and stage."""

    trials: list[Trial]  # the winner first
    summary: str  # what was kept, or `not run` and why


def choose(trials: Sequence[Trial], max_drop_pp: float) -> list[Trial]:
    """Mark the winner: the simplest of those within the budget that tie with the fastest.

    Raises:
        RecipeError: No finalist is right where it runs.
    """
    ran = [one for one in trials if one.nodes is not None and one.lap is not None]
    finalists = [one for one in ran if one.wrong is None]
    if not finalists:
        reason = ran[0].wrong if ran else "nothing was compared"
        raise RecipeError(f"tune has no finalist that is right where it runs: {reason}")
    right = [one for one in finalists if _sqnr_db(one.parity) >= _BROKEN_DB] or finalists
    within = [one for one in right if (one.top1_drop_pp or 0.0) <= max_drop_pp]
    pool = within or right
    fastest = min(pool, key=lambda one: one.lap.ratio if one.lap else 0.0)
    tied = [one for one in pool if one is fastest or _is_tied(one, fastest)]
    winner = min(tied, key=_complexity)
    marked = []
    for one in trials:
        if one is winner:
            one = replace(one, won=True, reason=_why_won(tied, within))
        elif one in tied:
            one = replace(one, reason=f"as fast within the interval, with {_describe(one)}")
        elif one.wrong is not None:
            one = replace(one, reason=one.wrong)
        elif one in finalists and one not in right:
            one = replace(
                one, reason=f"computes something else here: {_sqnr_db(one.parity):.1f} dB"
            )
        elif one in finalists and one not in within:
            one = replace(
                one, reason=f"top-1 drops by {one.top1_drop_pp:.2f} pp, past {show_pp(max_drop_pp)}"
            )
        marked.append(one)
    return marked


def holds(parity: Parity | None, top1_drop_pp: float | None, max_drop_pp: float) -> bool:
    """Whether a graph computes what it should, within the accuracy budget."""
    return _sqnr_db(parity) >= _BROKEN_DB and (top1_drop_pp or 0.0) <= max_drop_pp


def _is_tied(one: Trial, fastest: Trial) -> bool:
    """Whether the fastest is not faster than this one for sure."""
    if one.lap is None or one.lap.tied:
        return True
    # The same graph, loaded twice, differs by up to 1 % in latency as long as it stays loaded, and
    # the fastest of several had the luckiest load. More rounds don't show that.
    return _named(fastest) > _named(one) and one.lap.ratio < WORTH


def choose_by_accuracy(winner: Trial, rivals: Sequence[Trial], max_drop_pp: float) -> list[Trial]:
    """Mark the trial nearest to the float graph, among those that run the same kernels."""
    within = [one for one in rivals if (one.top1_drop_pp or 0.0) <= max_drop_pp]
    best = max([winner, *within], key=lambda one: _sqnr_db(one.apart))
    lost = f"as fast, and {{:.1f}} dB on images that set no range, not {_sqnr_db(best.apart):.1f}"
    ranges = "" if best is winner else f"; {best.plan.range_estimator} has the nearest ranges"
    return [
        replace(one, won=True, reason=f"{winner.reason}{ranges}")
        if one is best
        else replace(one, won=False, reason=lost.format(_sqnr_db(one.apart)))
        for one in [winner, *rivals]
    ]


def _complexity(one: Trial) -> tuple[int, int, float]:
    """A sort key: settings that are no default, then nodes, and only then the latency."""
    return _named(one), one.nodes or 0, one.lap.ratio if one.lap else 0.0


def _named(one: Trial) -> int:
    """Count the settings of a plan that are no default and so have to bring a speed-up.

    These are runtime settings, an approximation, and dynamic ranges. With dynamic ranges an
    image's logits depend on the other images of its batch.
    """
    dynamic = one.plan.format == "onnxruntime_dynamic"
    return len(one.plan.settings) + (one.plan.gelu != "erf") + dynamic


def _describe(one: Trial) -> str:
    changes = [*(f"{key}={value}" for key, value in one.plan.settings)]
    if one.plan.gelu != "erf":
        changes.append("an approximation")
    return " and ".join([f"{one.nodes} nodes", *changes])


def _sqnr_db(parity: Parity | None) -> float:
    """The SQNR in dB; of a graph that was never compared, the worst possible."""
    return -math.inf if parity is None else parity.sqnr_or_inf


def _why_won(tied: Sequence[Trial], within: Sequence[Trial]) -> str:
    if not within:
        return "the fastest; none keeps the accuracy budget"
    if len(tied) > 1:
        return f"the simplest of {len(tied)} that can't be told apart"
    return "the fastest within the accuracy budget"


@dataclass(frozen=True)
class GpuTrial:
    """One plan at one batch size; none of its figures was timed."""

    plan: Plan
    cost: PlanCost | None  # None where there is no engine
    parity: Parity | None  # INT8 against the float graph on calibration images; finalists only
    top1_drop_pp: float | None  # finalists only, and only with labelled data
    rank: int | None  # among the candidates of its precision and batch, from 1
    picked: bool
    reason: str

    @property
    def batch(self) -> int:
        """Images per inference."""
        assert self.plan.batch is not None  # of a graph for TensorRT
        return self.plan.batch

    def holds(self, max_drop_pp: float) -> bool:
        """Whether the graph is accurate enough; float16 graphs always are."""
        if self.plan.placement is None:
            return True
        return holds(self.parity, self.top1_drop_pp, max_drop_pp)


def is_alike(one: GpuTrial, other: GpuTrial) -> bool:
    """Whether two plans compile to as many kernels with the same bytes: a race of one suffices."""
    if one.cost is None or other.cost is None:
        return False
    ours, theirs = one.cost, other.cost
    return (
        ours.kernels == theirs.kernels
        and math.isclose(ours.activation_bytes, theirs.activation_bytes, rel_tol=_ALIKE)
        and math.isclose(ours.weight_bytes, theirs.weight_bytes, rel_tol=_ALIKE)
    )


def rank(trials: Sequence[GpuTrial]) -> list[GpuTrial]:
    """Sort by modelled time, the fastest first; of equals, the one with fewer kernels."""
    return sorted(
        (one for one in trials if one.cost is not None),
        key=lambda one: (one.cost.modelled_ms, one.cost.kernels) if one.cost else (math.inf, 0),
    )


def choose_candidates(checked: Sequence[GpuTrial], max_drop_pp: float) -> list[GpuTrial]:
    """Number the candidates among the finalists of one precision and batch; pick the first.

    Args:
        checked: Finalists in the order of `rank`.
        max_drop_pp: Accuracy budget, in percentage points. If no finalist keeps it, the most
            accurate one is picked, and its reason says so.
    """
    within = [one for one in checked if one.holds(max_drop_pp)]
    if not within:
        best = max(checked, key=_accuracy)
        return [_judge_lost(one, max_drop_pp, picked=one is best) for one in checked]
    chosen = []
    for one in checked:
        if one not in within:
            chosen.append(_judge_lost(one, max_drop_pp, picked=False))
            continue
        place = within.index(one) + 1
        reason = "the model's first" if place == 1 else f"candidate {place}"
        kept = place <= CANDIDATES
        chosen.append(replace(one, rank=place if kept else None, picked=place == 1, reason=reason))
    return chosen


def _judge_lost(one: GpuTrial, max_drop_pp: float, *, picked: bool) -> GpuTrial:
    reason = f"top-1 drops by {one.top1_drop_pp or 0.0:.2f} pp, past {show_pp(max_drop_pp)}"
    if _sqnr_db(one.parity) < _BROKEN_DB:
        reason = f"computes something else: {_sqnr_db(one.parity):.1f} dB"
    if one.parity is None:
        reason = one.reason
    if picked:
        reason += "; the most accurate: none keeps the budget"
    return replace(one, rank=1 if picked else None, picked=picked, reason=reason)


def _accuracy(one: GpuTrial) -> tuple[float, float]:
    return -(one.top1_drop_pp or 0.0), _sqnr_db(one.parity)

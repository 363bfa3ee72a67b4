"""What became of each plan of a search for a GPU, and which of them go on to be raced."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.build.tuning.cost_model import PlanCost
    from edge_convnext.build.tuning.gpu_space import GpuPlan
    from edge_convnext.core.percentages import show_pp
from edge_convnext.core.artifacts import Parity

__all__ = ["CANDIDATES", "GpuTrial", "choose", "holds", "is_alike", "rank"]

CANDIDATES = 3  # of each precision and batch, for a race on the device
_ALIKE = 0.01  # of the bytes
_BROKEN_DB = 10.0  # logits this far off are no rounding (`tuning.trials`)


@dataclass(frozen=True)
class GpuTrial:
    """One plan at one batch size; nothing of it was timed."""

    batch: int
    plan: GpuPlan
    cost: PlanCost | None  # None where there is no engine
    parity: Parity | None  # of finalists: INT8 against the float graph, calibration images
    top1_drop_pp: float | None  # of finalists, with labelled data
    rank: int | None  # among the candidates of its precision and batch, from 1
    picked: bool
    reason: str


def holds(trial: GpuTrial, max_drop_pp: float) -> bool:
    """Whether a plan computes what it should; float16 is not in question here."""
    if trial.plan.placement is None:
        return True
    if trial.parity is None:
        return False
    sqnr_db = math.inf if trial.parity.sqnr_db is None else trial.parity.sqnr_db
    return sqnr_db >= _BROKEN_DB and (trial.top1_drop_pp or 0.0) <= max_drop_pp


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
    """By the model, the fastest first; of equals the one with fewer kernels."""
    return sorted(
        (one for one in trials if one.cost is not None),
        key=lambda one: (one.cost.modelled_ms, one.cost.kernels) if one.cost else (math.inf, 0),
    )


def choose(checked: Sequence[GpuTrial], max_drop_pp: float) -> list[GpuTrial]:
    """Number the candidates and pick the first, of finalists of one precision and batch.

    Args:
        checked: Finalists in the order of `rank`.
        max_drop_pp: The accuracy budget. Where no finalist keeps it, the most accurate one is
            picked, and the reason says so.
    """
    within = [one for one in checked if holds(one, max_drop_pp)]
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
    sqnr_db = one.parity.sqnr_db if one.parity else None
    reason = f"top-1 drops by {one.top1_drop_pp or 0.0:.2f} pp, past {show_pp(max_drop_pp)}"
    if sqnr_db is not None and sqnr_db < _BROKEN_DB:
        reason = f"computes something else: {sqnr_db:.1f} dB"
    if one.parity is None:
        reason = one.reason
    if picked:
        reason += "; the most accurate: none keeps the budget"
    return replace(one, rank=1 if picked else None, picked=picked, reason=reason)


def _accuracy(one: GpuTrial) -> tuple[float, float]:
    sqnr_db = -math.inf
    if one.parity is not None:
        sqnr_db = math.inf if one.parity.sqnr_db is None else one.parity.sqnr_db
    return -(one.top1_drop_pp or 0.0), sqnr_db

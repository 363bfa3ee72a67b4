"""The contest on a board: race the INT8 graphs and the floats, evaluate the finalists, choose.

Ranges change no latency, but here every graph is calibrated in full: so what is raced, what is
evaluated and what ships is one file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.percentages import show_pp
from edge_convnext.devices.bench.measure import compare, evaluate_candidates
from edge_convnext.devices.bench.right_here import keep_right
from edge_convnext.measure.halving import run_race

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.devices.bundle.unpacked import UnpackedEvaluation
    from edge_convnext.devices.tuning.entrants import Entered
    from edge_convnext.devices.tuning.stopwatch import Stopwatch
    from edge_convnext.measure.accuracy import Comparison
    from edge_convnext.measure.halving import Lap, Standing

__all__ = ["Contest", "Judgement", "choose_winner", "judge_finalists", "race_entrants"]

_RACE_SHARE = 0.7  # of the time that is left: INT8's; floats have half of the rest, and the last
_FLOAT_SHARE = 0.5  # race the other half
_FLOATS = 2  # that are left for the last race
_MOST_HEATS = 3  # of finalists that are evaluated, until one is right and keeps the budget


@dataclass(frozen=True)
class Contest:
    """The races of a search: of the INT8 graphs, and of the floats that they have to beat."""

    quantized: Standing
    floats: Standing | None  # None where the search has none that runs here
    order: tuple[str, ...]  # INT8 candidates, those that were left longest first


@dataclass
class Judgement:
    """What the evaluation on the board says of the finalists."""

    compared: dict[str, Comparison] = field(default_factory=dict)  # with the float's answers
    wrong: dict[str, str] = field(default_factory=dict)  # computed wrongly here, by name
    judged: list[str] = field(default_factory=list)  # INT8, in the order of the race
    unheld: str = ""  # why no candidate was held to its graph in ONNX Runtime

    def holds(self, name: str, max_drop_pp: float) -> bool:
        """Whether a finalist is right here, and keeps the budget as far as that is known."""
        found = self.compared.get(name)
        return name not in self.wrong and (found is None or found.top1_drop_pp <= max_drop_pp)


def race_entrants(entered: Entered, watch: Stopwatch, limit_s: float) -> Contest:
    """Race by successive halving until the leader is faster for sure, or the time is over.

    Args:
        entered: Candidates that run here.
        watch: Times them.
        limit_s: Seconds of building and timing in all.

    Raises:
        ArtifactError: No INT8 graph runs here.
    """
    names = [name for name, one in entered.candidates.items() if one.model.precision == "int8"]
    floats = [name for name in entered.candidates if name not in names]
    if not names:
        reason = next(iter(entered.lost.values()), "the search has none")
        raise ArtifactError(f"no INT8 graph of the search runs here: {reason}")
    usual = [name for name in entered.usual if name in names][:1]
    names = [*usual, *(name for name in names if name not in usual)]
    spent = watch.journal.spent_s
    quantized = _race(names, watch, spent + _RACE_SHARE * (limit_s - spent), usual)
    raced = None
    if floats:
        spent = watch.journal.spent_s
        raced = _race(floats, watch, spent + _FLOAT_SHARE * (limit_s - spent), ())
    return Contest(quantized, raced, tuple(quantized.laps))


def _race(
    names: Sequence[str], watch: Stopwatch, until_s: float, always: Sequence[str]
) -> Standing:
    left = until_s - watch.journal.spent_s
    limit = None if math.isinf(left) else max(0.0, left)
    found = run_race(names, watch.measure, limit, lambda: watch.journal.spent_s, always)
    # A usual plan stays to the end, unless it was lost on the way.
    kept = tuple(name for name in found.finalists if name not in watch.entered.lost)
    return replace(found, finalists=kept)


def judge_finalists(
    contest: Contest,
    entered: Entered,
    images: UnpackedEvaluation | None,
    shown: NDArray[np.float32],
    watch: Stopwatch,
    folder: Path,
    machine: Mapping[str, object],
) -> Judgement:
    """Evaluate finalists where they run, until one is right and keeps the accuracy budget.

    Args:
        contest: The races.
        entered: Candidates that run here.
        images: Labelled images with the answers of the float model; None: nothing is evaluated.
        shown: Some images, float32[N, C, H, W], the first ones of `images`.
        watch: Has the settings of the search.
        folder: Keeps logits of an earlier run.
        machine: Fingerprint and versions.
    """
    found = Judgement()
    if images is None:
        found.judged = list(contest.quantized.finalists)
        found.unheld = "the search has no labelled images"
        return found
    floats = list(contest.floats.finalists[:_FLOATS]) if contest.floats else []
    left = list(dict.fromkeys([*contest.quantized.finalists, *contest.order]))
    heat = len(contest.quantized.finalists)
    for _ in range(_MOST_HEATS):
        names, left = left[:heat], left[heat:]
        if not names:
            break
        _judge_some([*floats, *names], entered, images, shown, watch, folder, machine, found)
        found.judged += names
        if any(found.holds(name, watch.search.max_drop_pp) for name in found.judged):
            break
    return found


def _judge_some(
    names: Sequence[str],
    entered: Entered,
    images: UnpackedEvaluation,
    shown: NDArray[np.float32],
    watch: Stopwatch,
    folder: Path,
    machine: Mapping[str, object],
    found: Judgement,
) -> None:
    search, track = watch.search, watch.track
    options = [entered.candidates[name] for name in names]
    batch, threads = search.evaluate_batch, search.threads
    predictions, broken = evaluate_candidates(
        options, images, batch, threads, folder, machine, track
    )
    found.compared |= compare(images.reference, predictions)
    found.wrong |= {one.artifact: one.reason for one in broken}
    kept = [one for one in options if one.name in predictions]
    logits = {name: one.logits for name, one in predictions.items()}
    try:
        held = keep_right(kept, logits, entered.sources, shown, threads)
    except ArtifactError as error:  # none of them is right
        found.wrong |= {one.name: str(error) for one in kept}
        return
    found.unheld = held.unheld
    found.wrong |= {one.artifact: one.reason for one in held.left_out}


def choose_winner(
    judgement: Judgement, laps: Mapping[str, Lap], entered: Entered, max_drop_pp: float
) -> tuple[str, str]:
    """The winner and the reason: the fastest within the budget; of those as fast, the nearest.

    Args:
        judgement: The evaluation of the finalists.
        laps: Laps of the last race, in which all finalists that are right ran.
        entered: Says which of them are usual.
        max_drop_pp: Accuracy budget, in percentage points.

    Raises:
        ArtifactError: No finalist is right here.
    """
    right = [name for name in judgement.judged if name not in judgement.wrong and name in laps]
    if not right:
        reason = next(iter(judgement.wrong.values()), "none was timed")
        raise ArtifactError(f"no finalist of the search is right here: {reason}")
    within = [name for name in right if judgement.holds(name, max_drop_pp)]
    if not within:
        best = min(
            right, key=lambda name: (judgement.compared[name].top1_drop_pp, laps[name].ratio)
        )
        return best, f"the most accurate; none keeps the accuracy budget of {show_pp(max_drop_pp)}"
    fastest = min(within, key=lambda name: laps[name].ratio)
    tied = [name for name in within if name == fastest or _is_tied(laps[name], laps[fastest])]
    if len(tied) == 1:
        return fastest, "the fastest within the accuracy budget"

    def preference(name: str) -> tuple[float, bool, float]:
        found = judgement.compared.get(name)
        agreement = found.agreement_pct if found else 0.0
        return -agreement, name not in entered.usual, laps[name].ratio

    return min(tied, key=preference), f"the nearest to the float of {len(tied)} that are as fast"


def _is_tied(one: Lap, fastest: Lap) -> bool:
    """Whether the fastest is not faster for sure; both laps are against the same leader."""
    if one.ratio <= fastest.ratio:
        return True
    return one.ratio_ci95 is not None and one.ratio_ci95[0] <= fastest.ratio

"""The trials of a search on a board: every graph that was entered, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.percentages import show_pp
from edge_convnext.devices.tuning.result import BoardTrial

if TYPE_CHECKING:
    from edge_convnext.devices.bundle.manifest import BundledGraph
    from edge_convnext.devices.bundle.unpacked import UnpackedSearch
    from edge_convnext.devices.tuning.contest import Contest, Judgement
    from edge_convnext.devices.tuning.entrants import Entered
    from edge_convnext.measure.halving import Lap

__all__ = ["list_trials"]


def list_trials(
    unpacked: UnpackedSearch,
    entered: Entered,
    contest: Contest,
    judgement: Judgement,
    winner: str,
    why: str,
) -> tuple[BoardTrial, ...]:
    """The winner, then the others that were raced, then those that were left out.

    Args:
        unpacked: The search.
        entered: Candidates that ran, and why others did not.
        contest: The races.
        judgement: The evaluation of the finalists.
        winner: Name of the winner.
        why: Reason that it won.
    """
    laps = {**(contest.floats.laps if contest.floats else {}), **contest.quantized.laps}
    trials = []
    for name in sorted(laps, key=lambda one: one != winner):
        reason = (
            why if name == winner else _why_lost(name, entered, judgement, laps[name], unpacked)
        )
        trials.append(_raced(name, entered, unpacked, judgement, laps[name], reason, winner))
    graphs = {graph.name: graph for graph in unpacked.manifest.graphs}
    for name, reason in entered.lost.items():
        if name not in laps:
            trials.append(_lost(name, reason, graphs, unpacked))
    return tuple(trials)


def _raced(
    name: str,
    entered: Entered,
    unpacked: UnpackedSearch,
    judgement: Judgement,
    lap: Lap,
    reason: str,
    winner: str,
) -> BoardTrial:
    one, compared = entered.candidates[name], judgement.compared.get(name)
    graph = next(each for each in unpacked.manifest.graphs if each.name == entered.graphs[name])
    return BoardTrial(
        name=name,
        graph=graph.name,
        sha256=unpacked.manifest.member(graph.file).sha256,
        runtime=one.runtime,
        hint=one.hint,
        settings=dict(one.settings),
        precision=one.model.precision,
        latency_ms_p50=lap.latency_ms_p50,
        ratio=lap.ratio,
        ratio_ci95=lap.ratio_ci95,
        rounds=lap.rounds,
        agreement_pct=compared.agreement_pct if compared else None,
        top1_drop_pp=compared.top1_drop_pp if compared else None,
        won=name == winner,
        reason=reason,
    )


def _why_lost(
    name: str, entered: Entered, judgement: Judgement, lap: Lap, unpacked: UnpackedSearch
) -> str:
    budget = unpacked.manifest.search.max_drop_pp
    if name in judgement.wrong:
        return judgement.wrong[name]
    if entered.candidates[name].model.precision != "int8":
        return "a float, which INT8 has to beat"
    if name in judgement.compared and not judgement.holds(name, budget):
        drop = judgement.compared[name].top1_drop_pp
        return f"top-1 drops by {drop:.2f} pp, past {show_pp(budget)}"
    interval = "" if lap.ratio_ci95 is None else " [{:.2f}, {:.2f}]".format(*lap.ratio_ci95)
    if name in judgement.judged:
        return "a finalist; slower in the last race, or as fast and less near to the float"
    if lap.tied:
        return f"out before the last rung: {lap.ratio:.2f}x{interval}"
    return f"slower: {lap.ratio:.2f}x{interval}"


def _lost(
    name: str, reason: str, graphs: dict[str, BundledGraph], unpacked: UnpackedSearch
) -> BoardTrial:
    """A trial that was not timed; its name begins with that of its graph."""
    file, _, rest = name.partition(" ")
    graph = graphs[file]
    return BoardTrial(
        name=name,
        graph=file,
        sha256=unpacked.manifest.member(graph.file).sha256,
        runtime=rest.partition(" ")[0],
        precision=graph.precision,
        reason=reason,
    )

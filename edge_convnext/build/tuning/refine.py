"""Refine the plan that won by role and stage: race it with one group of products changed.

A group goes to float, or to INT8 where the placement left it float (`changes`). The groups with
most multiply-accumulates are tried. A change is kept where it is faster, beyond the interval and by
2 %, or as fast and clearly nearer to the float graph; the next race begins from there. What shall
be kept is raced once more with the plan alone, loaded afresh: of many, the fastest was lucky.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edge_convnext.build.tuning.changes import Change, list_changes
from edge_convnext.build.tuning.hopeful import (
    NEARER_DB,
    Entry,
    is_faster,
    is_tied,
    list_hopeful,
    looks_faster,
    show,
)
from edge_convnext.build.tuning.lab import Lab, entrant_name
from edge_convnext.build.tuning.trials import REFINING, Refined, Trial, holds
from edge_convnext.graph.file import read_proto
from edge_convnext.measure.halving import LAST_ROUNDS, Rounds, compare_with, run_race
from edge_convnext.networks.family import family_of_model
from edge_convnext.stages import quantize

if TYPE_CHECKING:
    from edge_convnext.build.graphs import Graphs
    from edge_convnext.core.artifacts import Parity
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.networks.plans import Plan
    from edge_convnext.runtimes import PrecisionHint

__all__ = ["refine"]

_RACE_SHARE = 0.6  # of the time that is left; the rest is for what shall be kept


@dataclass(frozen=True)
class _Bounds:
    """The extent of a refinement."""

    changes: int  # that are raced at once
    kept: int  # changes of one plan


_QUICK, _FULL = _Bounds(8, 2), _Bounds(24, 6)


def refine(lab: Lab, winner: Trial, *, full: bool, limit_s: float | None) -> Refined:
    """Change the groups of the plan that won, one after the other.

    Args:
        lab: Makes, times and compares graphs of the runtime.
        winner: Trial that won the races of whole placements.
        full: True tries more groups, and keeps more changes.
        limit_s: Seconds of timing after which no further race is begun; None is no limit.

    Returns:
        The trials, the winner first, and a sentence on what was changed, or `not run` and why.
    """
    recipe = lab.recipe
    family = family_of_model(recipe.model)
    if family.placer != "roles":
        return Refined([winner], f"not run: {family.label} is not placed by role")
    if recipe.quantize.placement != "auto":
        stated = f"the recipe states the placement {recipe.quantize.placement}"
        return Refined([winner], f"not run: {stated}")
    bounds = _FULL if full else _QUICK
    return _Refinement(lab, winner, bounds, limit_s, winner.hint or "f32").run()


@dataclass
class _Refinement:
    """Changes of one plan; `best` is the plan so far."""

    lab: Lab
    best: Trial
    bounds: _Bounds
    limit_s: float | None
    hint: PrecisionHint  # of the winner, in which everything is raced
    own_db: float = -math.inf  # of `best`, as of `Entry.near_db`
    kept: list[str] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)  # groups that are not tried again
    raced: set[str] = field(default_factory=set)  # changes, by their words
    late: bool = False  # whether the time limit left one unraced that looked better

    def run(self) -> Refined:
        deadline = math.inf if self.limit_s is None else self.lab.raced_s + self.limit_s
        tried = 0
        for number in range(self.bounds.kept):
            entries = [Entry(change) for change in self._list_changes()]
            if not entries or (tried and self.lab.raced_s >= deadline):
                break
            tried = tried or len(entries)
            kept = self._try(entries, REFINING + number, deadline)
            if kept is None:
                break
        if not tried:
            return Refined([self.best], "not run: no group of products can be changed alone")
        return Refined([self.best, *self.trials], self._tell())

    def _tell(self) -> str:
        """What was kept of the changes that were raced; of the others each trial tells why."""
        late = "; one or more that looked better were not raced again: the time limit"
        rest = late if self.late else ""
        if self.kept:
            return (
                f"{len(self.kept)} of {len(self.raced)} changes kept: {'; '.join(self.kept)}{rest}"
            )
        if self.late:
            return f"none of {len(self.raced)} changes kept{rest}"
        return (
            f"none of {len(self.raced)} changes is faster, or as fast and clearly nearer to the "
            "float"
        )

    def _list_changes(self) -> list[Change]:
        graphs, _ = self.lab.quantize([self.best.plan], self.lab.few_images())
        source = graphs.lineages[self.best.plan].before(quantize.STAGE)
        found = list_changes(read_proto(source.value.path), self.best.plan)
        return [one for one in found if one.group not in self.settled][: self.bounds.changes]

    def _try(self, entries: Sequence[Entry], heat: int, deadline: float) -> Entry | None:
        """Race some changes; the one that is kept becomes part of the plan."""
        own = self._enter(entries)
        self._race(entries, own, deadline)
        kept = None
        for one in list_hopeful(entries, self.own_db):
            if self.lab.raced_s >= deadline:
                one.reason, self.late = "not raced again: the time limit", True
            elif self._earns_its_place(one, own):
                kept = one
                break
        self.settled |= {one.change.group for one in entries if one.slower or one is kept}
        lost = [self._trial(one, heat) for one in entries if one is not kept]
        if kept is not None:
            words = f"{kept.change.words}, {show(kept.lap)}"
            self.kept.append(words)
            lost.insert(0, replace(self.best, won=False, reason=f"better with {words}"))
            best = self._trial(kept, heat)
            self.best = replace(best, won=True, reason=f"{self.best.reason}; with {words}")
        self.trials = lost + self.trials
        return kept

    def _enter(self, entries: Sequence[Entry]) -> Candidate:
        """Make the graphs; what is wrong where it runs, or the same as another, is not raced.

        Returns:
            The candidate of the plan that they change.
        """
        few = self.lab.few_images()
        plan, hint = self.best.plan, self.hint
        graphs, failed = self.lab.quantize([plan, *(one.change.plan for one in entries)], few)
        wrong = self.lab.sift(graphs, few)
        own, self.own_db = self.lab.option(graphs, plan, hint), _near_db(graphs, plan)
        seen = {own.digest: "the plan that it changes"}
        for one in entries:
            changed = one.change.plan
            reason = failed.get(changed) or wrong.get(changed)
            if reason is None:
                option = self.lab.option(graphs, changed, hint)
                same = seen.setdefault(option.digest, one.change.words)
                if same == one.change.words:
                    one.option, one.near_db = option, _near_db(graphs, changed)
                    continue
                reason = f"the same graph as {same}"
            one.reason = f"not raced: {reason}"
        return own

    def _race(self, entries: Iterable[Entry], own: Candidate, deadline: float) -> None:
        """Time them beside the plan that they change, by successive halving."""
        base = entrant_name(self.best.plan, self.hint)
        by_name = {self._name(one): one for one in entries if one.option is not None}
        options = {base: own} | {name: one.option for name, one in by_name.items() if one.option}

        def measure(names: Sequence[str], rounds: int) -> Rounds:
            times = self.lab.measure(options, names, rounds)
            for name in set(names) - {base}:
                by_name[name].lap = compare_with(times[base], times[name])
            return times

        left_s = deadline - self.lab.raced_s
        limit_s = None if math.isinf(left_s) else _RACE_SHARE * left_s
        self.raced |= {one.change.words for one in by_name.values()}
        if by_name:
            run_race(list(options), measure, limit_s, lambda: self.lab.raced_s, [base])

    def _earns_its_place(self, one: Entry, own: Candidate) -> bool:
        """Race a change with the plan alone, loaded afresh, and then compare their logits."""
        assert one.option is not None  # it was raced
        base, name = entrant_name(self.best.plan, self.hint), self._name(one)
        options, one.again = {base: own, name: one.option}, True
        times = self.lab.measure(options, [base, name], LAST_ROUNDS, again=True)
        one.lap = lap = compare_with(times[base], times[name])
        if not (is_faster(lap) or is_tied(lap)):
            return False
        checked, unmade = self.lab.check([one.change.plan], [self.hint])
        one.checked = found = checked.get(name)
        if found is None or found.wrong is not None:
            why = unmade.get(one.change.plan, "") if found is None else found.wrong
            one.reason = f"calibrated in full: {why}"
            return False
        gain_db = found.parity.sqnr_or_inf - _parity_db(self.best)
        if not self._holds(found.parity, found.top1_drop_pp):
            best_holds = self._holds(self.best.parity, self.best.top1_drop_pp)
            if best_holds or gain_db < 0.0:  # the plan may be past it too, where none keeps it
                one.reason = f"past the accuracy budget: {found.parity.sqnr_or_inf:.1f} dB"
                return False
        return is_faster(lap) or gain_db >= NEARER_DB

    def _holds(self, parity: Parity | None, top1_drop_pp: float | None) -> bool:
        return holds(parity, top1_drop_pp, self.lab.recipe.evaluate.max_drop_pp)

    def _trial(self, one: Entry, heat: int) -> Trial:
        reason = one.reason or self._why_lost(one)
        trial = Trial(
            self.lab.runtime, one.change.plan, self.hint if one.lap else None, one.lap,
            None, None, None, won=False, reason=f"{one.change.words}: {reason}", heat=heat,
        )  # fmt: skip
        return trial if one.checked is None else replace(trial, **one.checked._asdict())

    def _why_lost(self, one: Entry) -> str:
        if one.slower:
            sure = one.lap is not None and one.lap.ratio_ci95 is not None
            return f"{'slower' if sure else 'slower in its few rounds'}, {show(one.lap)}"
        if not one.again and looks_faster(one):
            return f"looked faster, {show(one.lap)}; others were raced again first, this was not"
        if one.checked is None:
            rounds = 0 if one.lap is None else one.lap.rounds
            nearer = one.near_db - self.own_db >= NEARER_DB
            kind = "as fast" if nearer else "faster"
            rest = "" if nearer else ", and not clearly nearer to the float"
            return f"not shown to be {kind} in {rounds} rounds, {show(one.lap)}{rest}"
        own_db, best_db = one.checked.parity.sqnr_or_inf, _parity_db(self.best)
        return f"as fast, {show(one.lap)}, and {own_db:.1f} dB to the float, not {best_db:.1f}"

    def _name(self, one: Entry) -> str:
        return entrant_name(one.change.plan, self.hint)


def _near_db(graphs: Graphs, plan: Plan) -> float:
    made = graphs.lineages[plan].at(quantize.STAGE)
    return made.parity.sqnr_or_inf if made is not None and made.parity is not None else -math.inf


def _parity_db(trial: Trial) -> float:
    """Of a plan that was never compared infinite, so that nothing counts as nearer."""
    return math.inf if trial.parity is None else trial.parity.sqnr_or_inf

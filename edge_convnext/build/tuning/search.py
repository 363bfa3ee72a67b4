"""The search for the plan of one runtime: race, check accuracy, refine, choose ranges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from edge_convnext.build.settle import Prepared
from edge_convnext.build.tuning.lab import Checked, Lab, count_nodes, entrant_name
from edge_convnext.build.tuning.space import ESTIMATORS, list_plans, list_refinements
from edge_convnext.build.tuning.stated import as_stated, why_stated_otherwise
from edge_convnext.build.tuning.trials import Refined, Trial, choose, choose_by_accuracy, holds
from edge_convnext.core.artifacts import CpuRuntimeName
from edge_convnext.core.errors import RecipeError
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.halving import Lap, Standing, run_race
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import Plan, plan_for
from edge_convnext.runtimes import PrecisionHint
from edge_convnext.runtimes.load import has_bf16

__all__ = ["Found", "Search"]


class Found(NamedTuple):
    """What a search found in one runtime."""

    trials: list[Trial]  # all of them, the winner first
    stopped: str  # why the race of whole plans ended
    refined: str  # what of the winner was changed by role and stage, or `not run` and why


class Search:
    """The search for the best plan in one runtime."""

    def __init__(
        self, prepared: Prepared, runtime: CpuRuntimeName, full: bool, batch: int, machine: str
    ) -> None:
        self.runtime, self.full = runtime, full
        self.lab = Lab(prepared, runtime, batch, machine)
        self.recipe = prepared.runner.recipe
        self.hints: tuple[PrecisionHint, ...] = ("f32",)
        if has_bf16((runtime,)):
            self.hints = ("f32", "bf16")

    @property
    def other_load_pct(self) -> float:
        """Largest share of the CPU that other programs took during a race, in percent."""
        return self.lab.other_load_pct

    def run(self, limit_s: float | None, refine: Callable[[Lab, Trial], Refined]) -> Found:
        """Race the plans, and refine the winner; a full search tries its settings and ranges too.

        Args:
            limit_s: Seconds of timing after which the race of whole plans ends; None is no limit.
            refine: Changes the groups of products of the plan that won.

        Raises:
            EdgeConvNextError: The recipe leaves no plan to try, or no graph can be made.
        """
        opset = self.recipe.export.opset
        around = None if self.full else plan_for(self.recipe, self.runtime)
        family = family_of_model(self.recipe.model)
        listed, excluded = list_plans(family, self.runtime, opset, around)
        by_role = family.placer == "roles"  # its forms are not combined
        listed = list(dict.fromkeys(as_stated(self.recipe, plan, by_role) for plan in listed))
        plans = [plan for plan in listed if why_stated_otherwise(self.recipe, plan) is None]
        trials, stopped = self._heat(plans, self.hints, limit_s, around)
        (winner,) = [one for one in trials if one.won]
        refined = [
            plan
            for plan in list_refinements(winner.plan, self.runtime, opset)
            if plan != winner.plan and why_stated_otherwise(self.recipe, plan) is None
        ]
        if self.full:
            trials.remove(winner)
            again, _ = self._heat([winner.plan, *refined], _hints(winner), None, winner.plan)
            trials = [replace(one, heat=2) for one in again] + trials
        else:
            trials += [self._untimed(plan, "not tried: tune in full") for plan in refined]
        (winner,) = [one for one in trials if one.won]
        regrouped = refine(self.lab, winner)
        trials = regrouped.trials + [one for one in trials if one is not winner]
        if self.full:
            trials = self._choose_ranges(trials)
        trials += [self._untimed(one.plan, f"not tried: {one.reason}") for one in excluded]
        trials += [
            self._untimed(plan, f"not tried: {reason}")
            for plan in listed
            if (reason := why_stated_otherwise(self.recipe, plan)) is not None
        ]
        trials.sort(key=lambda one: not one.won)
        return Found(trials, stopped, regrouped.summary)

    def _heat(
        self,
        plans: Sequence[Plan],
        hints: Sequence[PrecisionHint],
        limit_s: float | None,
        usual: Plan | None = None,
    ) -> tuple[list[Trial], str]:
        """Run one heat: race some plans, check the finalists' accuracy, and choose among them.

        `usual` is a plan that stays to the end, whatever a few noisy rounds show.
        """
        graphs, failed = self.lab.quantize(plans, self.lab.few_images())
        if not graphs.quantized:
            reason = next(iter(failed.values()), "the recipe leaves no plan to try")
            raise RecipeError(f"tune has no graph for {self.runtime}: {reason}")
        wrong = self.lab.sift(graphs, self.lab.few_images())
        entrants = {
            entrant_name(one.plan, hint): (one.plan, hint)
            for one in graphs.quantized
            for hint in hints
            if one.plan not in wrong
        }
        if not entrants:
            reason = next(iter(wrong.values()))
            raise RecipeError(f"tune has no graph that is right in {self.runtime}: {reason}")
        options = {name: self.lab.option(graphs, *entrant) for name, entrant in entrants.items()}
        always = [name for name, (plan, _) in entrants.items() if plan == usual]
        standing = run_race(
            list(options),
            partial(self.lab.measure, options),
            limit_s,
            lambda: self.lab.raced_s,
            always,
        )
        finalists = {name: entrants[name] for name in self._by_preference(standing, options)}
        checked, unmade = self._check_finalists(finalists, hints)
        trials = []
        for name, lap in standing.laps.items():
            plan, hint = entrants[name]
            trial = self._judge(plan, hint, lap)
            if name in standing.finalists and name in checked:
                trial = replace(trial, **checked[name]._asdict())
            elif plan in unmade:
                trial = replace(trial, reason=f"failed, calibrated in full: {unmade[plan]}")
            elif name in standing.finalists and lap.tied:
                trial = replace(trial, reason="as fast within the interval, and not the simplest")
            trials.append(trial)
        if not checked:
            raise RecipeError(f"no finalist for {self.runtime} can be made: {trials[0].reason}")
        trials = choose(trials, self.recipe.evaluate.max_drop_pp)
        trials += [self._untimed(plan, f"failed: {reason}") for plan, reason in failed.items()]
        trials += [self._untimed(plan, f"not raced: {reason}") for plan, reason in wrong.items()]
        return trials, standing.stopped

    def _by_preference(self, standing: Standing, options: Mapping[str, Candidate]) -> list[str]:
        """The finalists in the order of choice if all are accurate: ties go to the simplest."""
        return sorted(
            standing.finalists,
            key=lambda name: (
                not standing.laps[name].tied,
                count_nodes(options[name].model),
                standing.laps[name].ratio,
            ),
        )

    def _check_finalists(
        self, finalists: Mapping[str, tuple[Plan, PrecisionHint]], hints: Sequence[PrecisionHint]
    ) -> tuple[dict[str, Checked], dict[Plan, str]]:
        """Check all finalists (`Lab.check`); a quick search stops at one that keeps the budget."""
        if self.full:
            return self.lab.check(
                list(dict.fromkeys(plan for plan, _ in finalists.values())), hints
            )
        checked: dict[str, Checked] = {}
        unmade: dict[Plan, str] = {}
        for name, (plan, hint) in finalists.items():
            found, failed = self.lab.check([plan], (hint,))
            checked, unmade = {**checked, **found}, {**unmade, **failed}
            if (
                name in found
                and found[name].wrong is None
                and holds(*found[name][:2], self.recipe.evaluate.max_drop_pp)
            ):
                break
        return checked, unmade

    def _choose_ranges(self, trials: list[Trial]) -> list[Trial]:
        """Give the winner the range estimator that keeps it nearest to the float graph.

        Estimators are judged on images that set no range: on the others, wide ranges look best.
        """
        (winner,) = [one for one in trials if one.won]
        if winner.plan.format == "onnxruntime_dynamic" or winner.plan.placement == "all":
            return trials  # its ranges are NNCF's
        others = [
            plan
            for name in ESTIMATORS
            if name != winner.plan.range_estimator
            and (name == "minmax" or winner.plan.activation_type == "int8")
            and why_stated_otherwise(
                self.recipe, plan := replace(winner.plan, range_estimator=name)
            )
            is None
        ]
        apart, _ = self.lab.check([winner.plan, *others], _hints(winner), apart=True)
        whole, _ = self.lab.check(others, _hints(winner))
        own = apart.get(entrant_name(winner.plan, winner.hint))
        if own is None:
            return trials
        rivals = []
        for plan in others:
            name = entrant_name(plan, winner.hint)
            if name in apart and name in whole and whole[name].wrong is None:
                rivals.append(
                    replace(winner, plan=plan, apart=apart[name].parity, **whole[name]._asdict())
                )
        trials.remove(winner)
        judged = choose_by_accuracy(
            replace(winner, apart=own.parity), rivals, self.recipe.evaluate.max_drop_pp
        )
        return judged + trials

    def _judge(self, plan: Plan, hint: PrecisionHint, lap: Lap) -> Trial:
        interval = "" if lap.ratio_ci95 is None else " [{:.2f}, {:.2f}]".format(*lap.ratio_ci95)
        reason = f"slower: {lap.ratio:.2f}x{interval}"
        if lap.tied:
            reason = f"out before the last rung: {lap.ratio:.2f}x{interval}"
        return Trial(self.runtime, plan, hint, lap, None, None, None, won=False, reason=reason)

    def _untimed(self, plan: Plan, reason: str) -> Trial:
        return Trial(self.runtime, plan, None, None, None, None, None, won=False, reason=reason)


def _hints(timed: Trial) -> tuple[PrecisionHint, ...]:
    return () if timed.hint is None else (timed.hint,)

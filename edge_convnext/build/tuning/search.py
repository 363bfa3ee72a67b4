"""The search for the plan of one runtime: race, check for accuracy, refine, choose ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from edge_convnext.build.compare import evaluate_options
from edge_convnext.build.graphs import Graphs, add_form, add_plan
from edge_convnext.build.inputs import image_batches
from edge_convnext.build.settle import Prepared
from edge_convnext.build.tuning.race import Lap, Rounds, Standing, run_race
from edge_convnext.build.tuning.space import ESTIMATORS, REVISION, list_plans, list_refinements
from edge_convnext.build.tuning.trials import Trial, choose, choose_by_accuracy, holds
from edge_convnext.core.artifacts import CpuRuntimeName, OnnxModel, Parity
from edge_convnext.core.cache import stage_key
from edge_convnext.core.contention import QUIET_PCT
from edge_convnext.core.errors import EdgeConvNextError, RecipeError
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Images, Step
from edge_convnext.data import Sample
from edge_convnext.measure.accuracy import predict
from edge_convnext.measure.benchmark import benchmark
from edge_convnext.measure.candidates import Option, as_candidate
from edge_convnext.measure.evaluation import Evaluation
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import Plan, plan_for
from edge_convnext.runtimes import PrecisionHint, RuntimeOptions
from edge_convnext.runtimes.load import has_bf16, load_runtime, package_of

__all__ = ["Search"]

_Checked: TypeAlias = tuple[Parity | None, float | None, int]  # parity, drop in pp, nodes
_FEW_IMAGES = 8  # calibrate a graph that is only raced


class Search:
    """The search in one runtime."""

    def __init__(
        self, prepared: Prepared, runtime: CpuRuntimeName, full: bool, batch: int, machine: str
    ) -> None:
        self.prepared, self.runtime, self.full = prepared, runtime, full
        self.batch, self.machine = batch, machine
        self.steps, self.recipe = prepared.steps, prepared.steps.recipe
        self.package = package_of(runtime)
        self.hints: tuple[PrecisionHint, ...] = ("f32",)
        if has_bf16((runtime,)):
            self.hints = ("f32", "bf16")
        self.raced_s = 0.0  # of timing so far, by this search or an earlier one that it goes on
        self.other_load_pct = 0.0  # the most that other programs took of the CPU meanwhile

    def run(self, limit_s: float | None) -> tuple[list[Trial], str]:
        """Race the plans and, in full, refine what wins and its ranges; the winner comes first.

        Raises:
            EdgeConvNextError: No plan is left under what the recipe states, or none can be made.
        """
        opset = self.recipe.export.opset
        around = None if self.full else plan_for(self.recipe, self.runtime)
        listed, excluded = list_plans(
            family_of_model(self.recipe.model), self.runtime, opset, around
        )
        listed = list(dict.fromkeys(_as_stated(self.recipe, plan) for plan in listed))
        plans = [plan for plan in listed if _differs(self.recipe, plan) is None]
        trials, stopped = self._heat(plans, self.hints, limit_s, around)
        (winner,) = [one for one in trials if one.won]
        refined = [
            plan
            for plan in list_refinements(winner.plan, self.runtime, opset)
            if plan != winner.plan and _differs(self.recipe, plan) is None
        ]
        if self.full:
            trials.remove(winner)
            again, _ = self._heat([winner.plan, *refined], _hints(winner), None, winner.plan)
            trials = self._choose_ranges([replace(one, heat=2) for one in again] + trials)
        else:
            trials += [self._untimed(plan, "not tried: tune in full") for plan in refined]
        trials += [self._untimed(one.plan, f"not tried: {one.reason}") for one in excluded]
        trials += [
            self._untimed(plan, f"not tried: {reason}")
            for plan in listed
            if (reason := _differs(self.recipe, plan)) is not None
        ]
        trials.sort(key=lambda one: not one.won)
        return trials, stopped

    def _heat(
        self,
        plans: Sequence[Plan],
        hints: Sequence[PrecisionHint],
        limit_s: float | None,
        usual: Plan | None = None,
    ) -> tuple[list[Trial], str]:
        """Race some plans, check the finalists for accuracy, and choose among them.

        `usual` is one that stays to the end, whatever a few noisy rounds say of it.
        """
        graphs, failed = self._quantize(plans, self._few_images())
        if not graphs.quantized:
            reason = next(iter(failed.values()), "the recipe leaves no plan to try")
            raise RecipeError(f"tune has no graph for {self.runtime}: {reason}")
        entrants = {
            f"{plan.label} {hint}": (plan, hint) for plan in graphs.quantized for hint in hints
        }
        options = {name: self._option(graphs, *entrant) for name, entrant in entrants.items()}
        always = [name for name, (plan, _) in entrants.items() if plan == usual]
        standing = run_race(
            list(options), partial(self._measure, options), limit_s, lambda: self.raced_s, always
        )
        finalists = {name: entrants[name] for name in self._by_preference(standing, options)}
        checked, unmade = self._check_finalists(finalists, hints)
        trials = []
        for name, lap in standing.laps.items():
            plan, hint = entrants[name]
            trial = self._judge(plan, hint, lap)
            if name in standing.finalists and name in checked:
                parity, drop, nodes = checked[name]
                trial = replace(trial, parity=parity, top1_drop_pp=drop, nodes=nodes)
            elif plan in unmade:
                trial = replace(trial, reason=f"failed, calibrated in full: {unmade[plan]}")
            elif name in standing.finalists and lap.tied:
                trial = replace(trial, reason="as fast within the interval, and not the simplest")
            trials.append(trial)
        if not checked:
            raise RecipeError(f"no finalist for {self.runtime} can be made: {trials[0].reason}")
        trials = choose(trials, self.recipe.evaluate.max_drop_pp)
        trials += [self._untimed(plan, f"failed: {reason}") for plan, reason in failed.items()]
        return trials, standing.stopped

    def _by_preference(self, standing: Standing, options: Mapping[str, Option]) -> list[str]:
        """Finalists as they would win if all were accurate: as fast as any, then the simplest."""
        return sorted(
            standing.finalists,
            key=lambda name: (
                not standing.laps[name].tied,
                _count_nodes(options[name].graph),
                standing.laps[name].ratio,
            ),
        )

    def _check_finalists(
        self, finalists: Mapping[str, tuple[Plan, PrecisionHint]], hints: Sequence[PrecisionHint]
    ) -> tuple[dict[str, _Checked], dict[Plan, str]]:
        """Check them all or, in a quick search, until one holds the budget; see `_check`."""
        if self.full:
            return self._check(list(dict.fromkeys(plan for plan, _ in finalists.values())), hints)
        checked: dict[str, _Checked] = {}
        unmade: dict[Plan, str] = {}
        for name, (plan, hint) in finalists.items():
            found, failed = self._check([plan], (hint,))
            checked, unmade = {**checked, **found}, {**unmade, **failed}
            if name in found and holds(*found[name][:2], self.recipe.evaluate.max_drop_pp):
                break
        return checked, unmade

    def _option(self, graphs: Graphs, plan: Plan, hint: PrecisionHint) -> Option:
        graph = graphs.final(plan, "int8")
        return Option(graph, self.runtime, hint, may_ship=True, settings=plan.settings)

    def _choose_ranges(self, trials: list[Trial]) -> list[Trial]:
        """Give the winner the range estimator that keeps it nearest to the float graph.

        Judged on images that set no range: one that holds all it has seen looks best on those.
        """
        (winner,) = [one for one in trials if one.won]
        if winner.plan.format == "onnxruntime_dynamic" or winner.plan.placement == "all":
            return trials  # has no ranges of ours
        others = [
            plan
            for name in ESTIMATORS
            if name != winner.plan.range_estimator
            and (name == "minmax" or winner.plan.activation_type == "int8")
            and _differs(self.recipe, plan := replace(winner.plan, range_estimator=name)) is None
        ]
        apart, _ = self._check([winner.plan, *others], _hints(winner), apart=True)
        whole, _ = self._check(others, _hints(winner))
        own = apart.get(f"{winner.plan.label} {winner.hint}")
        if own is None:
            return trials
        rivals = []
        for plan in others:
            name = f"{plan.label} {winner.hint}"
            if name in apart and name in whole:
                parity, drop, nodes = whole[name]
                rivals.append(
                    replace(
                        winner, plan=plan, parity=parity, top1_drop_pp=drop, nodes=nodes,
                        apart=apart[name][0],
                    )
                )  # fmt: skip
        trials.remove(winner)
        judged = choose_by_accuracy(
            replace(winner, apart=own[0]), rivals, self.recipe.evaluate.max_drop_pp
        )
        return judged + trials

    def _few_images(self) -> Images:
        calibration = self.prepared.inputs.calibration
        if calibration is None:
            raise RecipeError("tune has no images to calibrate with: pass --data or --calibration")
        return self._batches(calibration.images.samples[:_FEW_IMAGES])

    def _batches(self, samples: Sequence[Sample]) -> Images:
        batch = self.recipe.export.batch
        return image_batches(
            samples, self.prepared.inputs.info, None if batch == "dynamic" else batch
        )

    def _quantize(self, plans: Sequence[Plan], images: Images) -> tuple[Graphs, dict[Plan, str]]:
        """Make the graph of every plan; one that can't be made loses with its reason."""
        graphs, failed = Graphs(folded=self.prepared.graphs.folded), dict[Plan, str]()
        for plan in self.steps.track(plans, f"graphs for {self.runtime}", len(plans)):
            try:
                if (plan.form, "fp32") not in graphs.exported:
                    add_form(
                        self.steps, self.prepared.inputs, graphs, plan.form, "fp32",
                        self.prepared.samples,
                    )  # fmt: skip
                add_plan(self.steps, graphs, plan, [self.runtime], images, images)
            except EdgeConvNextError as error:
                failed[plan] = str(error)
                graphs.quantized.pop(plan, None)
        return graphs, failed

    def _measure(self, options: Mapping[str, Option], names: Sequence[str], rounds: int) -> Rounds:
        """Time some options, or take the times from an earlier search on this machine."""
        config = self.recipe.benchmark.model_copy(
            update={"rounds": rounds, "batches": (self.batch,)}
        )
        steps = self.steps

        def make(_folder: Path) -> dict[str, Any]:
            import numpy as np

            images = np.concatenate(self.prepared.samples.load())
            candidates = [replace(as_candidate(options[name]), name=name) for name in names]
            result = benchmark(
                candidates, images, config, self.recipe.seed, steps.track, measure_memory=False
            )
            rows = {row.artifact: list(row.round_latency_ms_p50) for row in result.rows}
            return {"rounds": rows, "other_load_pct": result.other_load_pct}

        key = stage_key(
            "tune/1",
            space=REVISION,
            options={name: options[name].graph.digest for name in names},
            config=config.model_dump(mode="json"),
            machine=self.machine,
            tools={name: steps.versions.get(name, "") for name in ("edge-convnext", self.package)},
        )
        entry = steps.cache.run("tune", key, make)
        self.raced_s += entry.seconds
        load_pct = entry.result["other_load_pct"] or 0.0
        self.other_load_pct = max(self.other_load_pct, load_pct)
        if load_pct > QUIET_PCT:
            steps.cache.forget("tune", key)
        rows: Rounds = entry.result["rounds"]
        return rows

    def _check(
        self, plans: Sequence[Plan], hints: Sequence[PrecisionHint], *, apart: bool = False
    ) -> tuple[dict[str, _Checked], dict[Plan, str]]:
        """Calibrate plans in full, and compare them with the float model where they run.

        With `apart`, a quarter of the images does not calibrate, and the SQNR is of those.

        Returns:
            By plan and hint: SQNR, drop and nodes; by plan, why a graph can't be made.
        """
        inputs = self.prepared.inputs
        calibration = inputs.calibration
        assert calibration is not None  # `_few_images` refused
        images = calibration.images.samples
        split = max(1, len(images) - len(images) // 4) if apart else len(images)
        seen, shown = self._batches(images[:split]), self._batches(images[split:] or images)
        graphs, unmade = self._quantize(plans, seen)
        options = {
            (plan, hint): self._option(graphs, plan, hint)
            for plan in graphs.quantized
            for hint in hints
        }
        evaluation: Evaluation | None = None
        if inputs.evaluation is not None and options and not apart:
            evaluation = evaluate_options(
                list(options.values()), inputs.weights, inputs.evaluation, self.steps, self.machine
            )
        checked: dict[str, _Checked] = {}
        for (plan, hint), option in options.items():
            parity = self._compare(option, graphs.before_quantize(plan), shown)
            drop = evaluation.comparisons[option.name].top1_drop_pp if evaluation else None
            checked[f"{plan.label} {hint}"] = (parity, drop, _count_nodes(option.graph))
        return checked, unmade

    def _compare(self, option: Option, floating: Step[OnnxModel], images: Images) -> Parity:
        """Logits of the option where it runs, against those of the float graph.

        ONNX Runtime's word is not enough: a runtime may compute a valid graph wrongly.
        """

        def make(_folder: Path) -> dict[str, Any]:
            batches = images.load()
            usual = RuntimeOptions(self.recipe.benchmark.threads)
            own = replace(usual, precision_hint=option.hint, settings=option.settings)
            expected = load_runtime("onnxruntime", floating.value.path, usual)
            found = load_runtime(option.runtime, option.model.path, own)
            return {
                "parity": asdict(
                    compare_logits(predict(expected, batches), predict(found, batches))
                )
            }

        key = stage_key(
            "tune-parity/2",
            threads=self.recipe.benchmark.threads,
            options={"run": option.name, "graph": option.graph.digest, "float": floating.digest},
            images=images.digest,
            machine=self.machine,
            tools={
                name: self.steps.versions.get(name, "")
                for name in ("edge-convnext", "onnxruntime", self.package)
            },
        )
        return Parity(**self.steps.cache.run("tune", key, make).result["parity"])

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


def _count_nodes(graph: Step[Any]) -> int:
    import onnx

    return len(onnx.load(str(graph.value.path), load_external_data=False).graph.node)


def _as_stated(recipe: Recipe, plan: Plan) -> Plan:
    """The plan with what is not crossed with the others as the recipe states it."""
    gelu, estimator = recipe.export.gelu, recipe.quantize.activations_range_estimator
    if gelu != "auto":
        plan = replace(plan, gelu=gelu)
    return plan if estimator == "auto" else replace(plan, range_estimator=estimator)


def _differs(recipe: Recipe, plan: Plan) -> str | None:
    """Why a plan is not what the recipe states; it would be built otherwise than raced."""
    stated = {
        "form": (recipe.export.form, plan.form),
        "gelu": (recipe.export.gelu, plan.gelu),
        "placement": (recipe.quantize.placement, plan.placement),
        "activation_type": (recipe.quantize.activation_type, plan.activation_type),
        "range estimator": (
            recipe.quantize.activations_range_estimator,
            plan.range_estimator,
        ),
    }
    for name, (wanted, own) in stated.items():
        if wanted not in ("auto", own):
            return f"the recipe states the {name} {wanted}"
    return None

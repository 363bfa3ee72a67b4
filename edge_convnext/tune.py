"""Tune: find the plan of each runtime on this machine, by racing all of them.

Graphs are first quantized on a few images, since ranges don't change latency, and raced. The
last ones left are quantized in full and compared with the float model; the fastest within the
accuracy budget wins, and of those that can't be told apart the one with the fewest nodes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from edge_convnext.artifacts import OnnxModel, Parity, RuntimeName
from edge_convnext.benchmark import benchmark
from edge_convnext.cache import Cache, default_cache_folder, stage_key
from edge_convnext.data import Sample
from edge_convnext.errors import EdgeConvNextError, RecipeError
from edge_convnext.evaluate import predict
from edge_convnext.graphs import Graphs, add_form, add_plan
from edge_convnext.inputs import image_batches
from edge_convnext.measure import Evaluation, Option, as_candidate, evaluate_options
from edge_convnext.metrics import compare_logits
from edge_convnext.pipeline import Prepared, has_bf16, prepare, verdict_batch
from edge_convnext.plans import Plan, plan_fields
from edge_convnext.progress import Track, untracked
from edge_convnext.recipe import PlanConfig, Recipe
from edge_convnext.runtimes import PrecisionHint, RuntimeOptions, load_runtime
from edge_convnext.steps import Images, Step
from edge_convnext.tuning.race import Lap, Rounds, run_race
from edge_convnext.tuning.space import ESTIMATORS, REVISION, list_plans, list_refinements
from edge_convnext.tuning.trials import Trial, choose, choose_by_accuracy

__all__ = ["Mode", "TuneResult", "search_plans", "tune", "tuned_recipe"]

Mode = Literal["quick", "full"]
_Checked: TypeAlias = tuple[Parity | None, float | None, int]  # parity, drop in pp, nodes
_FEW_IMAGES = 8  # calibrate a graph that is only raced
_QUICK_LIMIT_S = 90.0  # of the races of all runtimes; the graphs take about as long


@dataclass(frozen=True)
class TuneResult:
    """What a search found."""

    mode: Mode
    trials: tuple[Trial, ...]  # by runtime, the fastest first
    winners: Mapping[RuntimeName, Plan]
    stopped: Mapping[RuntimeName, str]  # why each race ended
    machine: str  # fingerprint
    seconds: float


def tune(recipe: Recipe, mode: Mode, cache: Cache, track: Track = untracked) -> TuneResult:
    """Search the plans of every runtime that the recipe asks for.

    What was timed is kept in the cache: a search that was stopped goes on where it was, and one
    that finished on this machine is answered at once.

    Args:
        recipe: The model, its data, and the accuracy budget.
        mode: `quick` leaves out placements that were slower wherever they were tried, and
            stops racing after a minute and a half; `full` tries all, without a limit.
        cache: Finished stages.
        track: Told of work that takes long.

    Raises:
        EdgeConvNextError: See `pipeline.build`; the recipe is not of INT8 for a CPU.
    """
    from edge_convnext.doctor import environment

    if recipe.precision != "int8":
        raise RecipeError(f"tune finds INT8 plans, and the precision is {recipe.precision}")
    started = time.monotonic()
    machine = environment()
    # Fine-tuning changes no latency, and comes when the winner is built.
    quick = recipe.recover.model_copy(update={"enabled": False})
    raced = recipe.model_copy(update={"targets": ("cpu",), "recover": quick})
    prepared = prepare(raced, cache, machine["versions"], track)
    trials: list[Trial] = []
    winners: dict[RuntimeName, Plan] = {}
    stopped: dict[RuntimeName, str] = {}
    for runtime in prepared.runtimes:
        search = _Search(prepared, runtime, mode, machine["fingerprint"])
        limit = _QUICK_LIMIT_S / len(prepared.runtimes) if mode == "quick" else None
        found, stopped[runtime] = search.run(limit)
        trials += found
        winners[runtime] = next(one.plan for one in found if one.won)
    seconds = time.monotonic() - started
    return TuneResult(mode, tuple(trials), winners, stopped, machine["fingerprint"], seconds)


def tuned_recipe(recipe: Recipe, result: TuneResult) -> Recipe:
    """The recipe with the winners as its plans: it builds them without a search."""
    plans = {
        runtime: PlanConfig.model_validate(plan_fields(plan))
        for runtime, plan in result.winners.items()
    }
    return recipe.model_copy(update={"plans": {**recipe.plans, **plans}})


def search_plans(recipe: Recipe, mode: Mode, track: Track = untracked) -> Recipe:
    """`recipe` with the plans that won on this machine, from a search now or an earlier one."""
    result = tune(recipe, mode, Cache(default_cache_folder(os.environ)), track)
    return tuned_recipe(recipe, result)


class _Search:
    """The search in one runtime."""

    def __init__(self, prepared: Prepared, runtime: RuntimeName, mode: Mode, machine: str) -> None:
        self.prepared, self.runtime, self.mode, self.machine = prepared, runtime, mode, machine
        self.steps, self.recipe = prepared.steps, prepared.steps.recipe
        self.hints: tuple[PrecisionHint, ...] = ("f32",)
        if runtime == "openvino" and has_bf16((runtime,)):
            self.hints = ("f32", "bf16")

    def run(self, limit_s: float | None) -> tuple[list[Trial], str]:
        """Race the plans, refine what wins, and choose its ranges; the winner comes first."""
        plans, excluded = list_plans(
            self.runtime, self.recipe.export.opset, full=self.mode == "full"
        )
        trials, stopped = self._heat(plans, self.hints, limit_s)
        (winner,) = [one for one in trials if one.won]
        refined = list_refinements(winner.plan, self.runtime, self.recipe.export.opset)
        if self.mode == "quick":
            trials += [self._untimed(plan, "not tried: tune in full") for plan in refined]
        else:
            trials.remove(winner)
            again, _ = self._heat([winner.plan, *refined], _hints(winner), None, winner.plan)
            trials = again + trials
        trials = self._choose_ranges(trials)
        trials += [self._untimed(one.plan, f"not tried: {one.reason}") for one in excluded]
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
        entrants = {
            f"{plan.label} {hint}": (plan, hint) for plan in graphs.quantized for hint in hints
        }
        options = {name: self._option(graphs, *entrant) for name, entrant in entrants.items()}
        always = next((name for name, (plan, _) in entrants.items() if plan == usual), None)
        standing = run_race(list(options), partial(self._measure, options), limit_s, always=always)
        finalists = list(dict.fromkeys(entrants[name][0] for name in standing.finalists))
        checked = self._check(finalists, hints)
        trials = [
            self._judge(*entrants[name], lap, checked.get(name))
            if name in standing.finalists
            else self._judge(*entrants[name], lap, None)
            for name, lap in standing.laps.items()
        ]
        trials = choose(trials, self.recipe.evaluate.max_drop_pp)
        trials += [self._untimed(plan, f"failed: {reason}") for plan, reason in failed.items()]
        return trials, standing.stopped

    def _option(self, graphs: Graphs, plan: Plan, hint: PrecisionHint) -> Option:
        graph = graphs.final(plan, "int8")
        return Option(graph, self.runtime, hint, may_ship=True, settings=plan.settings)

    def _choose_ranges(self, trials: list[Trial]) -> list[Trial]:
        """Give the winner the range estimator that keeps it nearest to the float graph."""
        (winner,) = [one for one in trials if one.won]
        if winner.plan.format == "onnxruntime_dynamic" or winner.plan.placement == "all":
            return trials  # has no ranges of ours
        others = [
            replace(winner.plan, range_estimator=name)
            for name in ESTIMATORS
            if name != winner.plan.range_estimator
            and (name == "minmax" or winner.plan.activation_type == "int8")
        ]
        # On images that set no range: one that holds all it has seen looks best on those.
        (judged,) = self._check([winner.plan], _hints(winner), apart=True).values()
        winner_apart = replace(winner, parity=judged[0])
        checked = self._check(others, _hints(winner), apart=True)
        rivals = []
        for plan in others:
            if found := checked.get(f"{plan.label} {winner.hint}"):
                parity, drop, nodes = found
                rivals.append(
                    replace(winner, plan=plan, parity=parity, top1_drop_pp=drop, nodes=nodes)
                )
        trials.remove(winner)
        return choose_by_accuracy(winner_apart, rivals) + trials

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
            update={"rounds": rounds, "batches": (verdict_batch(self.recipe),)}
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
            tools={name: steps.versions.get(name, "") for name in ("edge-convnext", self.runtime)},
        )
        rows: Rounds = steps.cache.run("tune", key, make).result["rounds"]
        return rows

    def _check(
        self, plans: Sequence[Plan], hints: Sequence[PrecisionHint], *, apart: bool = False
    ) -> dict[str, _Checked]:
        """Plans calibrated in full: SQNR where they run, drop and nodes, by plan and hint.

        With `apart`, a quarter of the images does not calibrate, and the SQNR is of those.
        """
        inputs = self.prepared.inputs
        calibration = inputs.calibration
        assert calibration is not None  # `_few_images` refused
        images = calibration.images.samples
        split = max(1, len(images) - len(images) // 4) if apart else len(images)
        seen, shown = self._batches(images[:split]), self._batches(images[split:] or images)
        graphs, _ = self._quantize(plans, seen)
        options = {
            f"{plan.label} {hint}": self._option(graphs, plan, hint)
            for plan in graphs.quantized
            for hint in hints
        }
        evaluation: Evaluation | None = None
        if inputs.evaluation is not None and options:
            evaluation = evaluate_options(
                list(options.values()), inputs.weights, inputs.evaluation, self.steps, self.machine
            )
        floats = {plan: graphs.before_quantize(plan) for plan in graphs.quantized}
        return {
            f"{plan.label} {hint}": (
                self._compare(options[f"{plan.label} {hint}"], floats[plan], shown),
                evaluation.comparisons[options[f"{plan.label} {hint}"].name].top1_drop_pp
                if evaluation
                else None,
                _count_nodes(options[f"{plan.label} {hint}"].graph),
            )
            for plan in graphs.quantized
            for hint in hints
        }

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
            "tune-parity/1",
            options={"run": option.name, "graph": option.graph.digest, "float": floating.digest},
            images=images.digest,
            machine=self.machine,
            tools={
                name: self.steps.versions.get(name, "") for name in ("edge-convnext", self.runtime)
            },
        )
        return Parity(**self.steps.cache.run("tune", key, make).result["parity"])

    def _judge(self, plan: Plan, hint: PrecisionHint, lap: Lap, checked: _Checked | None) -> Trial:
        interval = "" if lap.ratio_ci95 is None else " [{:.2f}, {:.2f}]".format(*lap.ratio_ci95)
        reason = f"slower: {lap.ratio:.2f}x{interval}"
        if lap.tied:
            reason = f"out before the last rung: {lap.ratio:.2f}x{interval}"
        parity, drop, nodes = checked or (None, None, None)
        return Trial(self.runtime, plan, hint, lap, parity, drop, nodes, won=False, reason=reason)

    def _untimed(self, plan: Plan, reason: str) -> Trial:
        return Trial(self.runtime, plan, None, None, None, None, None, won=False, reason=reason)


def _hints(timed: Trial) -> tuple[PrecisionHint, ...]:
    return () if timed.hint is None else (timed.hint,)


def _count_nodes(graph: Step[Any]) -> int:
    import onnx

    return len(onnx.load(str(graph.value.path), load_external_data=False).graph.node)

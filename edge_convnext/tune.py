"""Tune: find the plan of each runtime on this machine, by racing all of them.

Graphs are first quantized on a few images, since ranges don't change latency, and raced. The
last ones left are quantized in full and compared with the float model; the fastest within the
accuracy budget wins, and of those that can't be told apart the one with the fewest nodes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from edge_convnext.artifacts import Parity, RuntimeName
from edge_convnext.benchmark import benchmark
from edge_convnext.cache import Cache, default_cache_folder, stage_key
from edge_convnext.errors import EdgeConvNextError, RecipeError
from edge_convnext.graphs import Graphs, add_form, add_plan
from edge_convnext.inputs import image_batches
from edge_convnext.measure import Evaluation, Option, as_candidate, evaluate_options
from edge_convnext.pipeline import Prepared, has_bf16, prepare, verdict_batch
from edge_convnext.plans import Plan
from edge_convnext.progress import Track, untracked
from edge_convnext.recipe import PlanConfig, Recipe
from edge_convnext.steps import Images, Step
from edge_convnext.tuning.race import Lap, Rounds, Standing, run_race
from edge_convnext.tuning.space import REVISION, list_plans

__all__ = ["Mode", "Trial", "TuneResult", "search_plans", "tune", "tuned_recipe"]

Mode = Literal["quick", "full"]
_FEW_IMAGES = 8  # calibrate a graph that is only raced
_QUICK_LIMIT_S = 90.0  # of the races of all runtimes; the graphs take about as long


@dataclass(frozen=True)
class Trial:
    """One plan in one runtime, at one float precision of what is not quantized."""

    runtime: RuntimeName
    plan: Plan
    hint: str  # `f32` or `bf16`; "" for a plan that was not tried
    lap: Lap | None  # None where it was not timed
    parity: Parity | None  # of finalists: logits against the float graph, calibration images
    top1_drop_pp: float | None  # of finalists, with labelled data
    nodes: int | None
    won: bool
    reason: str  # why it won or lost


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
        found, standing = search.run(limit)
        trials += found
        stopped[runtime] = standing.stopped
        winners[runtime] = next(one.plan for one in found if one.won)
    seconds = time.monotonic() - started
    return TuneResult(mode, tuple(trials), winners, stopped, machine["fingerprint"], seconds)


def tuned_recipe(recipe: Recipe, result: TuneResult) -> Recipe:
    """The recipe with the winners as its plans: it builds them without a search."""
    plans = {
        runtime: PlanConfig.model_validate(vars(plan)) for runtime, plan in result.winners.items()
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
        self.hints: tuple[Literal["f32", "bf16"], ...] = ("f32",)
        if runtime == "openvino" and has_bf16((runtime,)):
            self.hints = ("f32", "bf16")

    def run(self, limit_s: float | None) -> tuple[list[Trial], Standing]:
        """Race, check the finalists, and choose."""
        plans, excluded = list_plans(
            self.runtime, self.recipe.export.opset, full=self.mode == "full"
        )
        few = self._few_images()
        graphs, failed = self._quantize(plans, few)
        options = {
            (plan, hint): Option(graphs.final(plan, "int8"), self.runtime, hint, may_ship=True)
            for plan in graphs.quantized
            for hint in self.hints
        }
        names = {f"{plan.label} {hint}": option for (plan, hint), option in options.items()}
        standing = run_race(list(names), partial(self._measure, names), limit_s)
        finalists = list(dict.fromkeys(name.split(" ")[0] for name in standing.finalists))
        by_label = {plan.label: plan for plan in graphs.quantized}
        checked = self._check([by_label[label] for label in finalists])
        trials = [self._judge(name, by_label, names, standing, checked) for name in standing.laps]
        trials = _choose(trials, self.recipe.evaluate.max_drop_pp)
        trials += [self._untimed(plan, f"failed: {reason}") for plan, reason in failed.items()]
        trials += [self._untimed(one.plan, f"not tried: {one.reason}") for one in excluded]
        return trials, standing

    def _few_images(self) -> Images:
        calibration = self.prepared.inputs.calibration
        if calibration is None:
            raise RecipeError("tune has no images to calibrate with: pass --data or --calibration")
        samples = calibration.images.samples[:_FEW_IMAGES]
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

    def _check(self, plans: Sequence[Plan]) -> dict[str, tuple[Parity | None, float | None, int]]:
        """Finalists calibrated in full: SQNR, drop and nodes, by plan and hint."""
        inputs = self.prepared.inputs
        calibration = inputs.calibration
        assert calibration is not None  # `_few_images` refused
        batch = self.recipe.export.batch
        whole = image_batches(
            calibration.images.samples, inputs.info, None if batch == "dynamic" else batch
        )
        graphs, _ = self._quantize(plans, whole)
        options = [
            Option(graphs.final(plan, "int8"), self.runtime, hint, may_ship=True)
            for plan in graphs.quantized
            for hint in self.hints
        ]
        evaluation: Evaluation | None = None
        if inputs.evaluation is not None:
            evaluation = evaluate_options(
                options, inputs.weights, inputs.evaluation, self.steps, self.machine
            )
        checked = {}
        labels = [plan.label for plan in graphs.quantized for _ in self.hints]
        for label, option in zip(labels, options, strict=True):
            drop = evaluation.comparisons[option.name].top1_drop_pp if evaluation else None
            nodes = _count_nodes(option.graph)
            checked[f"{label} {option.hint}"] = (option.graph.parity, drop, nodes)
        return checked

    def _judge(
        self,
        name: str,
        plans: Mapping[str, Plan],
        options: Mapping[str, Option],
        standing: Standing,
        checked: Mapping[str, tuple[Parity | None, float | None, int]],
    ) -> Trial:
        label, hint = name.split(" ")
        lap = standing.laps[name]
        parity, drop, nodes = None, None, None
        if name in standing.finalists and name in checked:
            parity, drop, nodes = checked[name]
        interval = "" if lap.ratio_ci95 is None else " [{:.2f}, {:.2f}]".format(*lap.ratio_ci95)
        reason = f"slower: {lap.ratio:.2f}x{interval}"
        if lap.tied:
            reason = f"out before the last rung: {lap.ratio:.2f}x{interval}"
        return Trial(
            self.runtime, plans[label], hint, lap, parity, drop, nodes, won=False, reason=reason
        )

    def _untimed(self, plan: Plan, reason: str) -> Trial:
        return Trial(self.runtime, plan, "", None, None, None, None, won=False, reason=reason)


def _choose(trials: Sequence[Trial], max_drop_pp: float) -> list[Trial]:
    """Mark the winner: within the budget, as fast as the fastest of those, the fewest nodes."""
    finalists = [one for one in trials if one.nodes is not None and one.lap is not None]
    within = [one for one in finalists if (one.top1_drop_pp or 0.0) <= max_drop_pp]
    pool = within or finalists
    fastest = min(pool, key=lambda one: one.lap.ratio if one.lap else 0.0)
    tied = [one for one in pool if one is fastest or (one.lap is not None and one.lap.tied)]
    winner = min(tied, key=lambda one: (one.nodes or 0, one.lap.ratio if one.lap else 0.0))
    marked = []
    for one in trials:
        if one is winner:
            one = replace(one, won=True, reason=_why_won(tied, within))
        elif one in tied:
            one = replace(one, reason=f"as fast within the interval, with {one.nodes} nodes")
        elif one in finalists and one not in within:
            one = replace(
                one, reason=f"top-1 drops by {one.top1_drop_pp:.2f} pp, past {max_drop_pp:.2f}"
            )
        marked.append(one)
    return marked


def _why_won(tied: Sequence[Trial], within: Sequence[Trial]) -> str:
    if not within:
        return "the fastest; none keeps the accuracy budget"
    if len(tied) > 1:
        return f"the simplest of {len(tied)} that can't be told apart"
    return "the fastest within the accuracy budget"


def _count_nodes(graph: Step[Any]) -> int:
    import onnx

    return len(onnx.load(str(graph.value.path), load_external_data=False).graph.node)

"""Quick race: the INT8 plan of each runtime for a network that no plan was measured for.

The ways that a network's structure leaves (`runtimes.plan_rules`) are made with few images, since
ranges don't change latency. What is wrong where it runs is out before it is timed: it may well be
the fastest. The rest is timed in turns, briefly, and remembered by graph, machine and version.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.build.graphs import Graphs, add_form, add_plan
from edge_convnext.build.lineage import Chosen
from edge_convnext.build.race_memory import race_or_remember
from edge_convnext.build.sieve import check_in_runtime
from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.sections import PlanConfig
from edge_convnext.core.step import Images, Stage
from edge_convnext.data.batches import image_batches
from edge_convnext.graph.file import read_proto
from edge_convnext.graph.roles import describe
from edge_convnext.measure.benchmark import benchmark
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.worth import NEAR_DB, accepted_slowdown
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import Plan, float_plan, plan_fields, plan_for, shipped_plans
from edge_convnext.runtimes.load import find_runtime, has_bf16, package_of
from edge_convnext.runtimes.plan_rules import default_plans, list_barred
from edge_convnext.stages import quantize
from edge_convnext.stages.quantize_roles import placing_key

if TYPE_CHECKING:
    from edge_convnext.build.inputs import Inputs
    from edge_convnext.build.lineage import Lineage
    from edge_convnext.build.race_memory import Remembered
    from edge_convnext.build.runner import Runner
    from edge_convnext.core.artifacts import CpuRuntimeName, RangeEstimator
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.graph.roles import Roles
    from edge_convnext.runtimes import PrecisionHint
    from edge_convnext.runtimes.plan_rules import Way

__all__ = ["Entered", "choose_plans", "pick", "unplanned"]

_RACE = Stage("quick-race", 1, folder="tune")
_FEW_IMAGES = 8  # calibrate a graph that is only raced
_ROUNDS, _ROUND_MS = 7, 20
# Other ranges don't change latency, and a search for each would take longer than the race.
_RACED_RANGES: RangeEstimator = "minmax"
# Fields of the recipe that the plan states, or that decide ranges alone.
_OF_RANGES = {
    *("placement", "activation_type", "subset_size", "weight_rounding"),
    *("activations_range_estimator", "quantile_outlier_prob"),
}
# This much further from the float graph than another way is: no range mends that.
_BROKEN_DB = 10.0
_TIE = 1.05  # ratios that near are ties; of those the nearest to the float graph wins


@dataclass
class Entered:
    """One plan in the quick race of a runtime."""

    plan: Plan
    sqnr_db: float = 0.0  # of its logits to the float graph's, in ONNX Runtime
    latency_ms: float | None = None  # of its faster float type; None where it was not timed
    dropped: str | None = None  # why it was not timed


@dataclass(frozen=True)
class _Heat:
    """What the race of one runtime has."""

    runner: Runner
    inputs: Inputs
    runtime: CpuRuntimeName
    machine: str
    few: Images
    samples: Images
    options: dict[str, tuple[Entered, Candidate]] = field(default_factory=dict)


def unplanned(recipe: Recipe, runtimes: Sequence[CpuRuntimeName]) -> list[CpuRuntimeName]:
    """Runtimes whose INT8 plan nobody stated or measured, of networks that are placed by role."""
    if recipe.precision != "int8" or family_of_model(recipe.model).placer != "roles":
        return []
    shipped = shipped_plans(recipe.model)
    return [one for one in runtimes if one not in recipe.plans and one not in shipped]


def choose_plans(
    runner: Runner,
    inputs: Inputs,
    runtimes: Sequence[CpuRuntimeName],
    samples: Images,
    machine: str,
) -> Chosen:
    """Race the plans of every runtime that has none.

    Args:
        runner: Runner of the build.
        inputs: Weights, and images to calibrate with; without those there is nothing to race.
        runtimes: Runtimes of the build.
        samples: Real images for the checks.
        machine: Fingerprint of this machine; another one has other times.

    Returns:
        The recipe with a plan for each such runtime, and what a report has to say of it.
    """
    recipe, calibration = runner.recipe, inputs.calibration
    wanted = unplanned(recipe, runtimes)
    if not wanted or calibration is None:
        return Chosen(recipe)
    batch = None if recipe.export.batch == "dynamic" else recipe.export.batch
    few = image_batches(calibration.images.samples[:_FEW_IMAGES], inputs.info, batch)
    graphs = Graphs()
    begun = add_form(runner, inputs, graphs, plan_for(recipe, wanted[0]).form, "fp32", samples)
    roles = describe(read_proto(begun.final.value.path))
    raced = _for_race(runner)
    plans: dict[CpuRuntimeName, PlanConfig] = {}
    notes: list[str] = []
    for runtime in wanted:
        entered = [Entered(plan) for plan in _list_plans(recipe, runtime, roles)]
        heat = _Heat(raced, inputs, runtime, machine, few, samples)
        for one in runner.track(entered, f"ways to quantize for {runtime}", len(entered)):
            _enter(heat, graphs, one)
        _drop_broken(heat)
        left = {id(one): one for one, _ in heat.options.values()}
        times = _time(heat, begun.final.digest) if len(left) > 1 else None
        winner = pick(entered)
        if winner is not None:
            plans[runtime] = PlanConfig.model_validate(plan_fields(winner.plan))
        usual = plan_for(recipe, runtime)
        notes += _notes(runtime, roles, entered, winner, times, usual)
    planned = recipe.model_copy(update={"plans": {**recipe.plans, **plans}})
    return Chosen(planned, tuple(notes), (begun,))


def _for_race(runner: Runner) -> Runner:
    """A runner of graphs that are only raced: equalization changes no latency."""
    off = runner.recipe.equalize.model_copy(update={"enabled": False})
    raced = runner.with_recipe(runner.recipe.model_copy(update={"equalize": off}))
    return raced.rounding_to_nearest()


def pick(entered: Sequence[Entered]) -> Entered | None:
    """The fastest, or of those as fast, or slower by less than nearness is worth, the nearest."""
    timed = [one for one in entered if one.latency_ms is not None]
    if not timed:
        return next((one for one in entered if one.dropped is None), None)
    fastest = min(timed, key=lambda one: one.latency_ms or 0.0)
    least_ms = fastest.latency_ms or 0.0

    def rank(one: Entered) -> tuple[float, float, float]:
        own_ms = one.latency_ms or 0.0
        worth = accepted_slowdown(one.sqnr_db, fastest.sqnr_db)
        score = (least_ms if own_ms <= _TIE * least_ms else own_ms) / worth
        return score, -one.sqnr_db, own_ms

    return min(timed, key=rank)


def _list_plans(recipe: Recipe, runtime: CpuRuntimeName, roles: Roles) -> list[Plan]:
    """The ways that the structure leaves, as far as the recipe leaves them open."""
    usual, stated = plan_for(recipe, runtime).form, recipe.quantize
    plans = [
        Plan(one.form or usual, one.placement, one.activation_type, one.format)
        for one in default_plans(roles, find_runtime(runtime).PLAN_RULES)
        if recipe.export.form == "auto" or one.form in (None, usual)
    ]
    if stated.placement != "auto":
        plans = [replace(one, placement=stated.placement) for one in plans]
    if stated.activation_type != "auto":
        plans = [replace(one, activation_type=stated.activation_type) for one in plans]
    return list(dict.fromkeys(plans))


def _enter(heat: _Heat, graphs: Graphs, one: Entered) -> None:
    """Make the graph of a plan, and let it in if it is right where it runs."""
    raced = replace(one.plan, range_estimator=_RACED_RANGES)
    try:
        if float_plan(raced.form, "fp32") not in graphs.lineages:
            add_form(heat.runner, heat.inputs, graphs, raced.form, "fp32", heat.samples)
        lineage = add_plan(heat.runner, graphs, raced, [heat.runtime], heat.few, heat.samples)
    except EdgeConvNextError as error:
        one.dropped = str(error)
        return
    quantized = lineage.at(quantize.STAGE)
    parity = quantized.parity if quantized is not None else None
    one.sqnr_db = parity.sqnr_or_inf if parity is not None else 0.0
    same = next(
        (other for other, option in heat.options.values() if option.digest == lineage.final.digest),
        None,
    )
    if same is not None:
        one.dropped = f"the same graph as {_label(same.plan)}"
    else:
        _sift(heat, lineage, one)


def _drop_broken(heat: _Heat) -> None:
    """Leave out what is much further from the float graph than another way is."""
    nearest = max((one.sqnr_db for one, _ in heat.options.values()), default=0.0)
    for name, (one, _) in list(heat.options.items()):
        if one.sqnr_db < min(nearest, NEAR_DB) - _BROKEN_DB:
            one.dropped = f"{one.sqnr_db:.1f} dB to the float graph, and another way {nearest:.1f}"
            del heat.options[name]


def _sift(heat: _Heat, lineage: Lineage, one: Entered) -> None:
    hints: tuple[PrecisionHint, ...] = ("f32",)
    if "bf16" in find_runtime(heat.runtime).HINTS and has_bf16((heat.runtime,)):
        hints = ("f32", "bf16")
    for hint in hints:
        option = Candidate.of(
            lineage.final, heat.runtime, hint, may_ship=True, settings=one.plan.settings
        )
        floating = lineage.before(quantize.STAGE)
        ruling = check_in_runtime(
            heat.runner, option, floating, heat.samples, heat.machine,
            portable=lineage.stands_for,
        )  # fmt: skip
        if ruling.wrong is None:
            heat.options[f"{one.plan.label} {hint}"] = (one, option)
        elif hint == "f32":
            one.dropped = ruling.wrong
            return


def _time(heat: _Heat, floating: str) -> Remembered:
    """Time what is left in turns, or take the times of an earlier race on this machine."""
    recipe = heat.runner.recipe
    batch = min(recipe.benchmark.batches)
    config = recipe.benchmark.model_copy(
        update={"rounds": _ROUNDS, "min_round_ms": _ROUND_MS, "batches": (batch,)}
    )

    def race() -> dict[str, Any]:
        images = np.concatenate(heat.samples.load())
        candidates = [replace(one, title=name) for name, (_, one) in heat.options.items()]
        result = benchmark(
            candidates, images, config, recipe.seed, heat.runner.track, measure_memory=False
        )
        rows = {row.artifact: list(row.round_latency_ms_p50) for row in result.rows}
        return {
            "rounds": rows,
            "other_load_pct": result.other_load_pct,
            "throttled_periods": result.throttled_periods,
        }

    key = {
        "float": floating,
        "options": sorted(heat.options),
        # What else decides the raced graphs, but for their ranges, which change no latency.
        "quantize": recipe.quantize.model_dump(mode="json", exclude=_OF_RANGES),
        **placing_key(recipe.quantize, by_roles=True),
        "batch": batch,
        "threads": recipe.benchmark.threads,
        "machine": heat.machine,
    }
    stage = _RACE.on(package_of(heat.runtime))
    times = race_or_remember(heat.runner, stage, race, key)
    for name, (one, _) in heat.options.items():
        latency = statistics.median(times.rounds[name])
        one.latency_ms = min(latency, one.latency_ms or latency)
    return times


def _label(plan: Plan | Way) -> str:
    """Of a plan for readers: `closed uint8`, `linear weighted int8`."""
    form = "" if plan.form in (None, "raw") else plan.form
    ending = "" if plan.format == "qdq" else plan.format
    return " ".join(filter(None, (form, plan.placement, plan.activation_type, ending)))


def _why(winner: Entered, fastest: Entered) -> str:
    """Why it was chosen, for readers."""
    if winner is fastest:
        return "the fastest, and none that is nearly as fast is nearer to the float graph"
    slower_pct = 100.0 * ((winner.latency_ms or 0.0) / (fastest.latency_ms or 1.0) - 1.0)
    return (
        f"slower than {_label(fastest.plan)} by {slower_pct:.1f} %, and nearer to the float graph, "
        f"{winner.sqnr_db:.1f} dB and not {fastest.sqnr_db:.1f}"
    )


def _notes(
    runtime: CpuRuntimeName,
    roles: Roles,
    entered: Sequence[Entered],
    winner: Entered | None,
    raced: Remembered | None,
    usual: Plan,
) -> Iterator[str]:
    """What was tried, which won, and what was left out and why."""
    module = find_runtime(runtime)
    timed = sorted(
        (one for one in entered if one.latency_ms is not None),
        key=lambda one: one.latency_ms or 0.0,
    )
    if winner is None:
        yield (
            f"{module.LABEL}: no way to quantize this network could be raced, so its plan is the "
            f"portable one, {_label(usual)}."
        )
    elif timed:
        times = ", ".join(f"{_label(one.plan)} {one.latency_ms:.2f} ms" for one in timed)
        chosen = (
            f"{module.LABEL}: no plan was measured for this network, so {len(timed)} ways to "
            f"quantize it were raced on this machine briefly: {times}. {_label(winner.plan)} was "
            f"chosen: {_why(winner, timed[0])}."
        )
        yield " ".join(filter(None, (chosen, raced.tell() if raced else "")))
    else:
        name = _label(winner.plan)
        yield f"{module.LABEL}: {name} was the only way left to quantize this network."
    if dropped := [f"{_label(one.plan)} ({one.dropped})" for one in entered if one.dropped]:
        yield f"{module.LABEL}: out before the race: {'; '.join(dropped)}."
    barred: dict[str, list[str]] = {}
    tried = {_label(one.plan) for one in entered}
    for way, bar in list_barred(roles, module.PLAN_RULES):
        if _label(way) not in tried:  # what a recipe states is tried whatever the rules say
            barred.setdefault(bar.why, []).append(_label(way))
    if barred:
        rules = "; ".join(f"{', '.join(ways)} ({why})" for why, ways in barred.items())
        yield f"{module.LABEL}: not tried, by the network's structure: {rules}."

"""Every graph for a CPU of one build: which forms and placements are needed, and making them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edge_convnext.build.inputs import Inputs
from edge_convnext.build.runner import Steps
from edge_convnext.core.artifacts import CpuRuntimeName, FormName, OnnxModel, Precision, Weights
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Images, Step
from edge_convnext.measure.candidates import Option
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import Plan, plan_for, shipped_plans
from edge_convnext.runtimes import PrecisionHint
from edge_convnext.runtimes.lint import LintTarget
from edge_convnext.runtimes.load import find_runtime
from edge_convnext.stages.recover import Recovery

__all__ = ["Graphs", "add_form", "add_plan", "list_options", "make_graphs", "raw_reference"]


@dataclass
class Graphs:
    """What the stages from fold to lower made, by graph form and plan."""

    folded: Step[Weights] | None = None
    exported: dict[tuple[FormName, Precision], Step[OnnxModel]] = field(default_factory=dict)
    simplified: dict[tuple[FormName, Precision], Step[OnnxModel]] = field(default_factory=dict)
    approximated: dict[Plan, Step[OnnxModel]] = field(default_factory=dict)
    equalized: dict[Plan, Step[OnnxModel]] = field(default_factory=dict)
    quantized: dict[Plan, Step[OnnxModel]] = field(default_factory=dict)
    recovered: dict[Plan, Step[Recovery]] = field(default_factory=dict)
    lowered: dict[Plan, Step[OnnxModel]] = field(default_factory=dict)

    def before_quantize(self, plan: Plan) -> Step[OnnxModel]:
        """The float graph that a plan's Q/DQ graph was made from."""
        return self.equalized.get(plan) or self.approximated.get(plan) or self.final(plan, "fp32")

    def portable(self, plan: Plan) -> Step[OnnxModel]:
        """A plan's Q/DQ graph as it goes on: fine-tuned, where that was asked for and helped."""
        quantized, recovered = self.quantized[plan], self.recovered.get(plan)
        if recovered is None or not recovered.value.kept:
            return quantized
        # The same nodes: what the linter said of them holds.
        return replace(recovered.of(recovered.value.model), reason=quantized.reason)

    def final(self, plan: Plan, precision: Precision) -> Step[OnnxModel]:
        """The graph of a plan as it leaves the last stage."""
        if precision == "int8":
            return self.lowered.get(plan) or self.portable(plan)
        return self.simplified.get((plan.form, precision)) or self.exported[plan.form, precision]


def make_graphs(
    steps: Steps,
    inputs: Inputs,
    runtimes: Sequence[CpuRuntimeName],
    samples: Images,
    calibration: Images | None,
    training: Images | None,
) -> Graphs:
    """Fold, export, simplify, quantize and recover what the runtimes need.

    Args:
        steps: Of this build.
        inputs: Weights and data.
        runtimes: To be measured; the raw FP32 reference and every float form are made too.
        samples: Real images for the parity checks.
        calibration: None unless INT8 is wanted.
        training: None unless INT8 graphs shall be fine-tuned.
    """
    recipe, graphs = steps.recipe, Graphs()
    plans = [plan_for(recipe, runtime) for runtime in runtimes]
    forms = _float_forms(recipe, plans) if plans else []
    if recipe.fold.enabled and family_of_model(recipe.model).folds:
        graphs.folded = steps.fold(inputs.weights.value, inputs.weights.digest, samples)
    wanted: list[tuple[FormName, Precision]] = [(form, "fp32") for form in forms]
    if recipe.precision == "fp16":
        wanted += [(form, "fp16") for form in dict.fromkeys(plan.form for plan in plans)]
    for form, precision in wanted:
        # The raw export is the reference as users have it; simplified only where it ships.
        ships = form != "raw" or "raw" in {plan.form for plan in plans}
        add_form(steps, inputs, graphs, form, precision, samples, simplify=ships)
    if recipe.precision == "int8" and calibration is not None:
        for plan in dict.fromkeys(plans):
            users: list[LintTarget] = [
                runtime for runtime in runtimes if plan_for(recipe, runtime) == plan
            ]
            add_plan(steps, graphs, plan, users, calibration, samples, training)
    return graphs


def add_form(
    steps: Steps,
    inputs: Inputs,
    graphs: Graphs,
    form: FormName,
    precision: Precision,
    samples: Images,
    *,
    simplify: bool = True,
) -> None:
    """Export one form from the weights that belong to it, and simplify it."""
    weights = inputs.weights if form == "raw" or graphs.folded is None else graphs.folded
    # The folded file keeps its own metadata; names and preprocessing are resolved later.
    named = Weights(
        weights.value.path, weights.value.architecture, inputs.info, weights.value.folded
    )
    made = steps.export(named, weights.digest, form, precision, samples, inputs.weights)
    graphs.exported[form, precision] = made
    if simplify and steps.recipe.simplify.enabled:
        graphs.simplified[form, precision] = steps.simplify(made, samples)


def add_plan(
    steps: Steps,
    graphs: Graphs,
    plan: Plan,
    users: Sequence[LintTarget],
    calibration: Images,
    samples: Images,
    training: Images | None = None,
) -> None:
    """Equalize, quantize, recover and, for ONNX Runtime alone, fuse; the float form is there."""
    before = graphs.final(plan, "fp32")
    if plan.gelu == "tanh":
        before = steps.approximate(before, samples)
        graphs.approximated[plan] = before
    if steps.recipe.equalize.enabled:
        before = steps.equalize(before, plan, calibration, samples)
        graphs.equalized[plan] = before
    graphs.quantized[plan] = steps.quantize(before, plan, users, calibration, samples)
    if training is not None:
        graphs.recovered[plan] = steps.recover(graphs.quantized[plan], before, training, samples)
    if plan.format != "qdq":
        graphs.lowered[plan] = steps.lower(graphs.portable(plan), plan, before, samples)


def list_options(
    recipe: Recipe, graphs: Graphs, runtimes: Sequence[CpuRuntimeName], bf16: bool
) -> list[Option]:
    """What to evaluate and race: per runtime the quantized graph and every float form.

    Args:
        recipe: Of this build.
        graphs: From `make_graphs`.
        runtimes: To be measured.
        bf16: Whether a runtime may compute floats in bfloat16 on this CPU.
    """
    options: list[Option] = []
    for runtime in runtimes:
        plan = plan_for(recipe, runtime)
        hinted = bf16 and "bf16" in find_runtime(runtime).HINTS
        forms = [form for form, precision in graphs.exported if precision == "fp32"]
        for form in forms:
            graph = graphs.final(Plan(form, plan.placement), "fp32")
            options.append(Option(graph, runtime, "f32", may_ship=form == plan.form))
            if hinted:
                options.append(Option(graph, runtime, "bf16", may_ship=form == plan.form))
            if plan.settings and form == plan.form:  # what they are worth is not INT8's doing
                hints: list[PrecisionHint] = ["f32", "bf16"] if hinted else ["f32"]
                options += [
                    Option(graph, runtime, hint, may_ship=True, settings=plan.settings)
                    for hint in hints
                ]
        if recipe.precision != "fp32":
            graph = graphs.final(plan, recipe.precision)
            own = plan.settings if recipe.precision == "int8" else ()
            options.append(Option(graph, runtime, "f32", may_ship=True, settings=own))
            if hinted and recipe.precision == "int8":
                options.append(Option(graph, runtime, "bf16", may_ship=True, settings=own))
    return options


def raw_reference(graphs: Graphs) -> Option | None:
    """The raw FP32 export in ONNX Runtime: what a user has today."""
    raw = graphs.exported.get(("raw", "fp32"))
    return Option(raw, "onnxruntime", "f32", may_ship=False) if raw else None


def _float_forms(recipe: Recipe, plans: Sequence[Plan]) -> list[FormName]:
    family = family_of_model(recipe.model)
    if not (recipe.fold.enabled and family.folds):
        return ["raw"]
    planned = [plan.form for plan in plans]
    best = [plan.form for plan in shipped_plans(recipe.model).values()]
    return list(dict.fromkeys([*family.float_forms, *best, *planned]))

"""Every graph of one build: which forms and plans are needed, and making them.

Graphs for TensorRT can't be timed here, and their time in ONNX Runtime on a CPU means nothing.
ONNX Runtime does show the accuracy of their Q/DQ, before the body becomes float16.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from edge_convnext.build.cpu_pixels import take_pixels
from edge_convnext.build.float_chain import float_steps, fold_weights, weights_of
from edge_convnext.build.float_forms import list_work
from edge_convnext.build.gpu_chain import gpu_lineage, rebatch
from edge_convnext.build.int8_chain import int8_lineage
from edge_convnext.build.lineage import Lineage
from edge_convnext.build.litert_graphs import litert_floats, try_plan
from edge_convnext.build.runner import Runner
from edge_convnext.core.artifacts import CpuRuntimeName, FormName, Precision, Weights
from edge_convnext.core.errors import EngineBuildError, ExportError, QuantizationError
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Images, Skipped, Step
from edge_convnext.data.batches import image_batches
from edge_convnext.graph.float16_numbers import HALF_OPSET
from edge_convnext.networks.arm_plans import arm_plan
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import Plan, float_plan, list_gpu_plans, plan_for
from edge_convnext.runtimes.lint import LintTarget, for_those_that_can
from edge_convnext.runtimes.tensorrt.rtx_builder import why_no_rtx
from edge_convnext.stages import approximate, equalize, quantize, write_for_tensorrt
from edge_convnext.stages import fuse_for_onnxruntime as fuse

if TYPE_CHECKING:
    from edge_convnext.build.inputs import Inputs
    from edge_convnext.core.artifacts import GraphFormat
    from edge_convnext.core.recipe import TargetName
    from edge_convnext.data.images import Sample

__all__ = [
    "GPU_PARITY_IMAGES",
    "Graphs",
    "add_form",
    "add_gpu_graphs",
    "add_plan",
    "for_batch",
    "make_gpu_lineages",
    "make_graphs",
]

# Float16 is slow on a CPU, and these graphs run whole batches: this is enough to find a broken one.
GPU_PARITY_IMAGES = 8
_ON_ARM = ("onnxruntime", "openvino-aarch64")  # targets of lint
_FAILURES = (EngineBuildError, ExportError, QuantizationError)


@dataclass
class Graphs:
    """The graphs of a build by plan, and why stages did not run."""

    folded: Step[Weights] | None = None
    lineages: dict[Plan, Lineage] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)  # ran for no graph of the build
    unwritten: dict[Plan, str] = field(default_factory=dict)  # why there is no graph of a plan

    @property
    def floats(self) -> tuple[Lineage, ...]:
        """Float graphs for a CPU, in ONNX."""
        return tuple(one for one in self._floats if one.stands_for is None)

    def floats_in(self, format: GraphFormat) -> tuple[Lineage, ...]:
        """Float graphs in the format of one runtime; those in ONNX where there are none."""
        return tuple(one for one in self._floats if one.plan.format == format) or self.floats

    @property
    def quantized(self) -> tuple[Lineage, ...]:
        """INT8 graphs for a CPU."""
        return tuple(one for one in self._for_cpu if one.plan.precision == "int8")

    @property
    def for_gpu(self) -> tuple[Lineage, ...]:
        """Graphs for TensorRT, the requested precision first."""
        return tuple(one for one in self.lineages.values() if one.plan.batch is not None)

    @property
    def _floats(self) -> Iterator[Lineage]:
        return (one for one in self._for_cpu if one.plan.precision != "int8")

    @property
    def _for_cpu(self) -> Iterator[Lineage]:
        return (one for one in self.lineages.values() if one.plan.batch is None)

    def add(self, lineage: Lineage) -> Lineage:
        """Add the lineage of one plan."""
        self.lineages[lineage.plan] = lineage
        return lineage

    def why_not(self, stage: str) -> Skipped | None:
        """The reason that a stage, by its name in the report, ran for no graph of the build."""
        return next((one for one in self.skipped if one.stage.reported_as == stage), None)


def make_graphs(
    runner: Runner,
    inputs: Inputs,
    runtimes: Sequence[CpuRuntimeName],
    samples: Images,
    calibration: Images | None,
    training: Images | Skipped,
    *,
    begun: Iterable[Lineage] = (),
    without: Collection[FormName] = (),
    for_arm: bool = False,
    only: Collection[FormName] | None = None,
) -> Graphs:
    """Fold, export, simplify, quantize and fine-tune the graphs that the CPU runtimes need.

    Args:
        runner: Runner of this build.
        inputs: Weights and data of the build.
        runtimes: Runtimes to measure; the raw FP32 reference and every float form are made too.
        samples: Real images for the parity checks.
        calibration: Calibration images; None unless INT8 is wanted.
        training: Images to fine-tune INT8 graphs with, or why the graphs are not fine-tuned.
        begun: Float graphs that this build has already.
        without: Forms from `rival_forms` that are not made.
        for_arm: True makes the graphs for Arm CPUs too, for no runtime of this machine.
        only: Forms that are made, of those; None makes all.
    """
    recipe, graphs = runner.recipe, Graphs(lineages={one.plan: one for one in begun})
    forms, plans = list_work(recipe, runtimes, without, for_arm=for_arm)
    if only is not None:
        forms = [form for form in forms if form in only]
        plans = [plan for plan in plans if plan.form in only]
    graphs.skipped += _not_for_cpu(recipe, wanted=bool(plans))
    if isinstance(training, Skipped):
        graphs.skipped.append(training)
    folded = fold_weights(runner, inputs.weights, samples)
    if isinstance(folded, Skipped):
        graphs.skipped.append(folded)
    else:
        graphs.folded = folded
    wanted: list[tuple[FormName, Precision]] = [(form, "fp32") for form in forms]
    if recipe.precision == "fp16":
        wanted += [(form, "fp16") for form in dict.fromkeys(plan.form for plan in plans)]
    folds = family_of_model(recipe.model).folds
    for form, precision in wanted:
        # The raw export is the reference that users have; it is simplified only if it ships.
        ships = form != "raw" or not folds or "raw" in {plan.form for plan in plans}
        if float_plan(form, precision) not in graphs.lineages:
            add_form(runner, inputs, graphs, form, precision, samples, simplify=ships)
    made, graphs.unwritten = litert_floats(runner, plans, graphs.lineages, samples)
    graphs.lineages |= made
    if recipe.precision == "int8" and calibration is not None:
        images = None if isinstance(training, Skipped) else training
        for plan in dict.fromkeys(plans):
            users = [runtime for runtime in runtimes if plan_for(recipe, runtime) == plan]
            users += _ON_ARM if for_arm and plan == arm_plan(recipe) else ()
            if plan in graphs.unwritten:
                continue
            add = partial(
                add_plan, runner, graphs, plan, calibration=calibration, samples=samples,
                training=images,
            )  # fmt: skip
            # Who computes it wrongly is told by `sieve`; others may be right.
            if why := try_plan(runner, plan, partial(for_those_that_can, add, users)):
                graphs.unwritten[plan] = why
    graphs.lineages |= take_pixels(runner, (*graphs.floats, *graphs.quantized), samples)
    return graphs


def _not_for_cpu(recipe: Recipe, *, wanted: bool) -> Iterator[Skipped]:
    """The stages of INT8 graphs for a CPU that no graph of this build needs."""
    if recipe.precision != "int8":
        for stage in (equalize.STAGE, quantize.STAGE):
            yield Skipped(stage, f"the precision is {recipe.precision}")
    elif not wanted:
        yield Skipped(equalize.STAGE, "cpu is not among the targets")
    yield Skipped(approximate.STAGE, "no plan asks for an approximation")
    yield Skipped(fuse.STAGE, "no plan is for ONNX Runtime alone")


def add_form(
    runner: Runner,
    inputs: Inputs,
    graphs: Graphs,
    form: FormName,
    precision: Precision,
    samples: Images,
    *,
    simplify: bool = True,
) -> Lineage:
    """Export one form from the weights that belong to it, and simplify it."""
    weights = weights_of(form, inputs, graphs.folded)
    steps = float_steps(
        runner, weights, form, precision, samples, inputs.weights, simplified=simplify
    )
    return graphs.add(Lineage(float_plan(form, precision), steps))


def add_plan(
    runner: Runner,
    graphs: Graphs,
    plan: Plan,
    users: Sequence[LintTarget],
    calibration: Images,
    samples: Images,
    training: Images | None = None,
) -> Lineage:
    """Equalize, quantize and fine-tune a float form that exists; for ONNX Runtime, fuse too."""
    begun = graphs.lineages[float_plan(plan.form, "fp32")]
    return graphs.add(int8_lineage(runner, plan, begun, users, calibration, samples, training))


def add_gpu_graphs(
    runner: Runner,
    inputs: Inputs,
    graphs: Graphs,
    targets: Sequence[TargetName],
    shown: Sequence[Sample],
    calibration: Images | None,
) -> None:
    """Make every graph that the GPU targets need: one per precision, batch size and family.

    Args:
        runner: Runner of this build.
        inputs: Weights and data of the build.
        graphs: Graphs so far, to which these are added; with the folded weights, if the build
            folds.
        targets: Targets of the build.
        shown: Real images for the parity checks.
        calibration: Calibration images; None unless INT8 is wanted.

    Raises:
        EdgeConvNextError: A stage failed on a GPU target that the recipe names. If the target
            was only the default, its graphs are left out and the reason is recorded.
    """
    recipe, stage = runner.recipe, write_for_tensorrt.STAGE
    plans = list_gpu_plans(recipe, targets)
    if not plans:
        graphs.skipped.append(Skipped(stage, "no GPU is among the targets"))
    elif recipe.targets == "auto" and (reason := why_no_rtx()):
        graphs.skipped.append(Skipped(stage, reason))
    else:
        try:
            made = make_gpu_lineages(
                runner, inputs, graphs, plans, targets, shown[:GPU_PARITY_IMAGES], calibration
            )
        except _FAILURES as error:
            if recipe.targets != "auto":
                raise
            graphs.skipped.append(Skipped(stage, str(error), "failed"))
        else:
            graphs.lineages |= {lineage.plan: lineage for lineage in made}


def make_gpu_lineages(
    runner: Runner,
    inputs: Inputs,
    graphs: Graphs,
    plans: Sequence[Plan],
    targets: Sequence[TargetName],
    shown: Sequence[Sample],
    calibration: Images | None,
) -> list[Lineage]:
    """Make the graph of each plan; plans of one form and batch size share their float graph."""
    # TensorRT 10 has the same parser as TensorRT for RTX, except for a float16 reduction.
    typed_for: list[LintTarget] = ["rtx"] if "rtx" in targets else []
    typed_for += ["tensorrt10"] if "tensorrt" in targets else []
    samples: dict[int, Images] = {}
    begun: dict[tuple[FormName, int], Lineage] = {}
    made = []
    for plan in plans:
        assert plan.batch is not None  # of a graph for TensorRT
        own, start = for_batch(runner, plan.batch), (plan.form, plan.batch)
        if plan.batch not in samples:
            samples[plan.batch] = image_batches(shown, inputs.info, plan.batch)
        images = samples[plan.batch]
        if start not in begun:
            weights = weights_of(plan.form, inputs, graphs.folded)
            steps = float_steps(own, weights, plan.form, "fp32", images, inputs.weights)
            begun[start] = Lineage(plan, steps)
        batches = None if calibration is None else rebatch(calibration, plan.batch)
        made.append(gpu_lineage(own, plan, begun[start], batches, images, typed_for))
    return made


def for_batch(runner: Runner, batch: int) -> Runner:
    """The runner for graphs for TensorRT: the batch is fixed, and typed graphs have one opset."""
    recipe = runner.recipe
    fixed = recipe.export.model_copy(update={"batch": batch, "opset": HALF_OPSET})
    return runner.with_recipe(recipe.model_copy(update={"export": fixed}))

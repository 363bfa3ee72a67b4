"""Graphs and engines for TensorRT of one build: which are needed, and making them.

There is one graph per precision and batch size, in the form that suits both (`gpu_plans`). None
of them can be timed here, and ONNX Runtime on a CPU tells nothing of their speed. What it tells
is the accuracy of their Q/DQ, which is evaluated before the body becomes float16.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge_convnext.build.gpu_steps import GpuSteps
from edge_convnext.build.inputs import image_batches
from edge_convnext.core.artifacts import Engine, FormName, OnnxModel, Weights
from edge_convnext.core.errors import EngineBuildError, ExportError, QuantizationError
from edge_convnext.core.files import sha256_bytes
from edge_convnext.core.step import Images, Step
from edge_convnext.measure.candidates import Candidate
from edge_convnext.networks.gpu_plans import GpuPlan, list_gpu_plans

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_convnext.build.inputs import Inputs
    from edge_convnext.build.runner import Steps
    from edge_convnext.core.recipe import Recipe, TargetName
    from edge_convnext.data import Sample
    from edge_convnext.runtimes.lint import LintTarget

__all__ = [
    "EngineBuild",
    "GpuGraph",
    "GpuGraphs",
    "build_engines",
    "list_gpu_options",
    "make_gpu_graphs",
]

# Float16 is slow on a CPU, and these graphs come in batches: enough to tell a broken one.
_PARITY_IMAGES = 8
_FAILURES = (EngineBuildError, ExportError, QuantizationError)


@dataclass(frozen=True)
class GpuGraph:
    """What was made of one plan."""

    plan: GpuPlan
    exported: Step[OnnxModel]
    simplified: Step[OnnxModel] | None
    approximated: Step[OnnxModel] | None
    placed: Step[OnnxModel] | None  # of INT8 plans: explicit Q/DQ, a float32 body
    written: Step[OnnxModel]  # as the TensorRTs of its family take it

    @property
    def source(self) -> Step[OnnxModel]:
        """The float graph that a quantizer starts from."""
        return self.approximated or self.simplified or self.exported

    @property
    def body(self) -> Step[OnnxModel]:
        """The graph before it was written for TensorRT: a float32 body, float32 images."""
        return self.placed or self.source


@dataclass(frozen=True)
class GpuGraphs:
    """Those of all plans, or why there are none."""

    made: tuple[GpuGraph, ...] = ()
    status: Literal["not_run", "failed"] = "not_run"
    reason: str | None = "no GPU is among the targets"


@dataclass(frozen=True)
class EngineBuild:
    """The engine of one graph, or why there is none."""

    plan: GpuPlan
    step: Step[Engine] | None
    status: Literal["not_run", "failed"] = "not_run"
    reason: str | None = None


def make_gpu_graphs(
    steps: Steps,
    inputs: Inputs,
    weights: Step[Weights],
    targets: Sequence[TargetName],
    shown: Sequence[Sample],
    calibration: Images | None,
) -> GpuGraphs:
    """Export, simplify, quantize and write every graph that the GPU targets need.

    Args:
        steps: Of this build.
        inputs: Weights and data.
        weights: Folded, or as they are for a build without folds.
        targets: Where it shall run.
        shown: Real images, for the parity checks.
        calibration: None unless INT8 is wanted.

    Raises:
        EdgeConvNextError: See the stages; where nobody named a GPU target, what is wrong with
            its graphs is the reason that there are none.
    """
    recipe = steps.recipe
    plans = list_gpu_plans(recipe, targets)
    if not plans:
        return GpuGraphs()
    if recipe.targets == "auto" and (reason := _why_no_engine()):
        return GpuGraphs(reason=reason)
    named = replace(weights.value, info=inputs.info)
    maker = _Maker(
        steps, weights.of(named), inputs.weights, targets, shown[:_PARITY_IMAGES], calibration
    )
    try:
        return GpuGraphs(tuple(maker.make(plan) for plan in plans), reason=None)
    except _FAILURES as error:
        if recipe.targets != "auto":
            raise
        return GpuGraphs(status="failed", reason=str(error))


class _Maker:
    """Makes graphs; plans of one form and batch size share their export."""

    def __init__(
        self,
        steps: Steps,
        weights: Step[Weights],
        model: Step[Weights],
        targets: Sequence[TargetName],
        shown: Sequence[Sample],
        calibration: Images | None,
    ) -> None:
        self.steps, self.weights, self.model, self.shown = steps, weights, model, shown
        self.calibration = calibration
        # TensorRT 10 has the parser of TensorRT for RTX, but for a float16 reduction.
        self.typed_targets: list[LintTarget] = ["rtx"] if "rtx" in targets else []
        self.typed_targets += ["tensorrt10"] if "tensorrt" in targets else []
        self.samples: dict[int, Images] = {}
        self.exports: dict[tuple[FormName, int], tuple[Step[OnnxModel], Step[OnnxModel] | None]]
        self.exports = {}

    def make(self, plan: GpuPlan) -> GpuGraph:
        gpu = GpuSteps(self.steps, plan)
        samples = self._images(plan.batch)
        exported, simplified = self._export(gpu, samples)
        source, approximated, placed = simplified or exported, None, None
        if plan.precision == "int8":
            if self.steps.recipe.export.gelu == "tanh":
                source = approximated = gpu.steps.approximate(source, samples)
            assert self.calibration is not None  # an INT8 build has calibration images
            placed = gpu.place(source, _rebatch(self.calibration, plan.batch), samples)
        body = placed or source
        targets: list[LintTarget] = ["tensorrt8.6"]
        written = gpu.finish(
            body, source, samples, self.typed_targets if plan.family == "typed" else targets
        )
        return GpuGraph(plan, exported, simplified, approximated, placed, written)

    def _export(
        self, gpu: GpuSteps, samples: Images
    ) -> tuple[Step[OnnxModel], Step[OnnxModel] | None]:
        key = (gpu.plan.form, gpu.plan.batch)
        if key not in self.exports:
            weights = self.weights
            made = gpu.steps.export(
                weights.value, weights.digest, key[0], "fp32", samples, self.model
            )
            enabled = self.steps.recipe.simplify.enabled
            self.exports[key] = made, gpu.steps.simplify(made, samples) if enabled else None
        return self.exports[key]

    def _images(self, batch: int) -> Images:
        if batch not in self.samples:
            self.samples[batch] = image_batches(self.shown, self.weights.value.info, batch)
        return self.samples[batch]


def _rebatch(images: Images, batch: int) -> Images:
    """The same images in full batches of another size; the first ones fill up the last."""

    def load() -> Sequence[NDArray[np.float32]]:
        whole = np.concatenate(images.load())
        missing = -len(whole) % batch
        filled = np.concatenate([whole, np.resize(whole, (missing, *whole.shape[1:]))])
        return np.split(filled, len(filled) // batch)

    return Images(sha256_bytes(f"{images.digest} {batch}".encode()), images.count, load)


def _why_no_engine() -> str | None:
    from edge_convnext.runtimes.tensorrt.rtx_builder import why_no_rtx

    return why_no_rtx()


def build_engines(
    steps: Steps, graphs: GpuGraphs, targets: Sequence[TargetName]
) -> tuple[EngineBuild, ...]:
    """Build the engine of every graph, where TensorRT for RTX is a target and can do so here.

    Raises:
        EngineBuildError: The builder refused a graph; where nobody named the target, that is the
            reason that there is no engine.
    """
    if "rtx" not in targets:
        return ()
    why_not = _why_no_engine()
    builds = []
    for graph in graphs.made:
        if graph.plan.family != "typed":
            continue
        if why_not is not None:
            builds.append(EngineBuild(graph.plan, None, reason=why_not))
            continue
        try:
            builds.append(
                EngineBuild(graph.plan, GpuSteps(steps, graph.plan).engine(graph.written))
            )
        except EngineBuildError as error:
            if steps.recipe.targets != "auto":
                raise
            # Nobody asked for this engine: the rest of the build is still worth having.
            builds.append(EngineBuild(graph.plan, None, "failed", str(error)))
    return tuple(builds)


def list_gpu_options(recipe: Recipe, graphs: Iterable[GpuGraph], *, alone: bool) -> list[Candidate]:
    """What to evaluate of the graphs for TensorRT, in ONNX Runtime; none of it is raced.

    Args:
        recipe: Of this build.
        graphs: For TensorRT.
        alone: Whether no other target has graphs: the float one is evaluated then too.
    """
    made = list(graphs)
    options = list(_own_options(recipe, made, alone))
    if alone and recipe.precision != "fp32":
        float_graph = next(graph for graph in made if graph.plan.precision != "int8")
        options.append(Candidate.of(float_graph.source, "onnxruntime", "f32", may_ship=True))
    return options


def _own_options(recipe: Recipe, graphs: Sequence[GpuGraph], alone: bool) -> Iterator[Candidate]:
    """Those of the requested precision, the smallest batch first."""
    own = [graph for graph in graphs if graph.plan.precision == recipe.precision]
    if recipe.precision == "int8":
        first: dict[str, GpuGraph] = {}
        for graph in own:
            first.setdefault(graph.body.digest, graph)  # families may share a graph
        for graph in first.values():
            yield Candidate.of(graph.body, "onnxruntime", "f32", may_ship=alone)
    elif alone:  # equal in all but the batch size, and slow on a CPU
        source = own[0].written if recipe.precision == "fp16" else own[0].body
        yield Candidate.of(source, "onnxruntime", "f32", may_ship=True)

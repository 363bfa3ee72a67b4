"""Build the plans of a network without a GPU, and rank them by the cost model.

Float16 plans are built first. A form whose float16 plan could not win even if INT8 halved all
its bytes and operations gets no INT8 plans. INT8 graphs are first calibrated on a few images,
because ranges change no engine. The finalists are calibrated again on all images, to be compared
with their float graph.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.compare import evaluate_options
from edge_convnext.build.gpu_chain import place_step
from edge_convnext.build.graphs import Graphs, add_form, for_batch
from edge_convnext.build.tuning.cost_model import cost_plan, least_int8_ms
from edge_convnext.build.tuning.space import gpu_plan, list_gpu_forms
from edge_convnext.build.tuning.trials import (
    CANDIDATES,
    GpuTrial,
    choose_candidates,
    is_alike,
    rank,
)
from edge_convnext.core.errors import EdgeConvNextError, RecipeError
from edge_convnext.core.step import Stage, Step
from edge_convnext.data.batches import image_batches
from edge_convnext.measure.candidates import Candidate
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import Plan, float_plan
from edge_convnext.runtimes.tensorrt.kernel_table import read_kernels
from edge_convnext.runtimes.tensorrt.rtx_builder import build_rtx_engine, sidecar_path
from edge_convnext.stages.to_float16 import halve_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.build.settle import Prepared
    from edge_convnext.build.tuning.cost_model import Calibration, Gpu
    from edge_convnext.core.artifacts import FormName, OnnxModel
    from edge_convnext.core.step import Images
    from edge_convnext.runtimes.tensorrt.builder_log import Kernel

__all__ = ["GpuSearch"]

_FEW_IMAGES = 8  # to calibrate a graph of which only the kernels are read
_CHECKED_AT_MOST = 6  # INT8 graphs that are calibrated in full, until enough keep the budget
_COMPILE = Stage("gpu-plan", 1, ("onnx", "tensorrt_rtx"))
_TABLE = "kernels.json"


class GpuSearch:
    """The search at one batch size."""

    def __init__(
        self,
        prepared: Prepared,
        gpu: Gpu,
        calibration: Calibration,
        capability: str,
        machine: str,
    ) -> None:
        self.prepared, self.gpu, self.calibration = prepared, gpu, calibration
        self.capability, self.machine = capability, machine
        batch = prepared.runner.recipe.export.batch
        assert isinstance(batch, int)  # the caller fixed it
        self.batch = batch
        self.runner = for_batch(prepared.runner, batch)
        self.recipe = self.runner.recipe
        self.family = family_of_model(self.recipe.model)
        self.graphs = Graphs(folded=prepared.graphs.folded)

    def run(self, *, every: bool) -> list[GpuTrial]:
        """Rank all plans of this batch size; candidates come first, by precision.

        Args:
            every: Build the INT8 plans of every form, also of those that can't win.

        Raises:
            EdgeConvNextError: No form of the network can be built.
        """
        floats, plans = self._float_trials()
        found = [*floats]
        if self.recipe.precision == "int8":
            found += self._int8_trials(floats, plans, every=every)
        trials: list[GpuTrial] = []
        for precision in ("fp16", "int8"):
            own = [one for one in found if one.plan.precision == precision]
            ranked = rank(own)
            trials += self._choose(ranked)
            trials += [one for one in own if one.cost is None]
        return trials

    def read_plan(self, plan: Plan) -> tuple[Kernel, ...]:
        """The kernels that a plan compiles to, in launch order.

        Raises:
            EdgeConvNextError: The graph can't be exported, quantized or built.
        """
        if plan.placement is None:
            return self._compile(self._float_graph(plan.form))
        return self._compile(self._place(plan, self._calibration_images(_FEW_IMAGES)))

    def _float_trials(self) -> tuple[list[GpuTrial], dict[FormName, tuple[Kernel, ...]]]:
        trials: list[GpuTrial] = []
        plans: dict[FormName, tuple[Kernel, ...]] = {}
        forms = list_gpu_forms(self.batch, self.family)
        what = f"float16 plans for batch {self.batch}"
        for form in self.runner.track(forms, what, len(forms)):
            plan = gpu_plan(form, None, self.batch)
            try:
                plans[form] = self.read_plan(plan)
                trials.append(self._trial(plan, plans[form]))
            except EdgeConvNextError as error:
                trials.append(self._failed(plan, f"failed: {error}"))
        if not plans:
            raise RecipeError(f"no form can be built for batch {self.batch}: {trials[0].reason}")
        return trials, plans

    def _int8_trials(
        self,
        floats: Sequence[GpuTrial],
        plans: dict[FormName, tuple[Kernel, ...]],
        *,
        every: bool,
    ) -> list[GpuTrial]:
        forms = [one.plan.form for one in rank(floats)]
        trials: list[GpuTrial] = []
        best_ms = math.inf
        what = f"INT8 plans for batch {self.batch}"
        for form in self.runner.track(forms, what, len(forms)):
            least_ms = least_int8_ms(plans[form], self.gpu, self.calibration)
            for placement in self.family.gpu_placements:
                plan = gpu_plan(form, placement, self.batch)
                if least_ms > best_ms and not every:
                    reason = f"not built: at least {least_ms:.3f} ms if INT8 halved all it does"
                    trials.append(self._failed(plan, reason))
                    continue
                try:
                    trials.append(self._trial(plan, self.read_plan(plan)))
                except EdgeConvNextError as error:
                    trials.append(self._failed(plan, f"failed: {error}"))
            best_ms = min([best_ms, *(one.cost.modelled_ms for one in trials if one.cost)])
        return trials

    def _choose(self, ranked: Sequence[GpuTrial]) -> list[GpuTrial]:
        """Check finalists until enough keep the budget, and choose among them."""
        budget = self.recipe.evaluate.max_drop_pp
        checked: list[GpuTrial] = []
        left: list[GpuTrial] = []
        for one in ranked:
            enough = sum(each.holds(budget) for each in checked) == CANDIDATES
            twin = next((each for each in checked if is_alike(one, each)), None)
            if enough or len(checked) == _CHECKED_AT_MOST:
                left.append(one)
            elif twin is not None:
                left.append(replace(one, reason=f"kernels and bytes of {twin.plan.label}"))
            else:
                checked.append(self._check(one) if one.plan.placement else one)
        return [*(choose_candidates(checked, budget) if checked else []), *left]

    def _check(self, trial: GpuTrial) -> GpuTrial:
        """Calibrate a graph on all images, and compare it with the float graph in ONNX Runtime."""
        try:
            graph = self._place(trial.plan, self._calibration_images(None))
        except EdgeConvNextError as error:
            return replace(trial, reason=f"failed, calibrated in full: {error}")
        drop = None
        inputs = self.prepared.inputs
        if inputs.evaluation is not None:
            option = Candidate.of(graph, "onnxruntime", "f32", may_ship=True)
            evaluation = evaluate_options(
                [option], inputs.weights, inputs.evaluation, self.runner, self.machine
            )
            drop = evaluation.comparisons[option.name].top1_drop_pp
        return replace(trial, parity=graph.parity, top1_drop_pp=drop)

    def _float_graph(self, form: FormName) -> Step[OnnxModel]:
        """The float graph of a form: exported for this batch size, compared, and simplified."""
        lineage = self.graphs.lineages.get(float_plan(form, "fp32"))
        if lineage is None:
            lineage = add_form(
                self.runner, self.prepared.inputs, self.graphs, form, "fp32", self.prepared.samples
            )
        return lineage.final

    def _place(self, plan: Plan, images: Images) -> Step[OnnxModel]:
        """The INT8 graph as a build makes it, compared on the images that calibrated it."""
        return place_step(self.runner, self._float_graph(plan.form), plan, images, images)

    def _compile(self, graph: Step[OnnxModel]) -> tuple[Kernel, ...]:
        """The kernels of a graph with a float16 body and borders; its engine is not kept."""

        def make(folder: Path) -> dict[str, Any]:
            config = self.recipe.engine.model_copy(
                update={"compute_capabilities": (self.capability,)}
            )
            half, engine = folder / "half.onnx", folder / "model.engine"
            build_rtx_engine(halve_body(graph.value, half, "float16"), config, engine)
            sidecar_path(engine).rename(folder / _TABLE)
            half.unlink()
            engine.unlink()
            return {}

        key = {"model": graph.digest, "capability": self.capability}
        entry = self.runner.run(_COMPILE, make, key=key)
        return read_kernels(entry.folder / _TABLE)

    def _calibration_images(self, count: int | None) -> Images:
        calibration = self.prepared.inputs.calibration
        if calibration is None:
            raise RecipeError("tune has no images to calibrate with: pass --data or --calibration")
        samples = calibration.images.samples[:count]
        return image_batches(samples, self.prepared.inputs.info, self.batch)

    def _trial(self, plan: Plan, kernels: Sequence[Kernel]) -> GpuTrial:
        cost = cost_plan(kernels, self.gpu, self.calibration)
        return GpuTrial(plan, cost, None, None, None, picked=False, reason="slower")

    def _failed(self, plan: Plan, reason: str) -> GpuTrial:
        return GpuTrial(plan, None, None, None, None, picked=False, reason=reason)

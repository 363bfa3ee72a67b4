"""The work of a search on the plans of one runtime: make graphs, time them, compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_convnext.build.compare import evaluate_options
from edge_convnext.build.graphs import Graphs, add_form, add_plan
from edge_convnext.build.sieve import check_in_runtime
from edge_convnext.build.tuning.space import REVISION
from edge_convnext.core.artifacts import Parity
from edge_convnext.core.contention import QUIET_PCT
from edge_convnext.core.errors import EdgeConvNextError, RecipeError
from edge_convnext.core.file_kinds import is_tflite
from edge_convnext.core.step import Images, Stage
from edge_convnext.data.batches import image_batches
from edge_convnext.measure.benchmark import benchmark
from edge_convnext.measure.candidates import Candidate
from edge_convnext.networks.plans import Plan, float_plan
from edge_convnext.stages import quantize

if TYPE_CHECKING:
    from edge_convnext.build.settle import Prepared
    from edge_convnext.core.artifacts import CpuRuntimeName, OnnxModel
    from edge_convnext.data.images import Sample
    from edge_convnext.measure.evaluation import Evaluation
    from edge_convnext.measure.halving import Rounds
    from edge_convnext.runtimes import PrecisionHint

__all__ = ["Checked", "Lab", "count_nodes", "entrant_name"]

_RACE = Stage("tune", 1)
_FEW_IMAGES = 8  # to calibrate a graph that is only raced


class Checked(NamedTuple):
    """The distance of one plan's graph, calibrated on all images, from the float model."""

    parity: Parity
    top1_drop_pp: float | None  # None without labelled data
    nodes: int
    wrong: str | None = None  # why it must not ship, where it is wrong where it runs


class Lab:
    """Graphs of one runtime, made, timed and compared.

    Args:
        prepared: Inputs of the search, with the folded weights.
        runtime: Runtime of the graphs.
        batch: Images per timed inference.
        machine: Fingerprint of this machine; another CPU has other times and perhaps other logits.
    """

    def __init__(
        self, prepared: Prepared, runtime: CpuRuntimeName, batch: int, machine: str
    ) -> None:
        self.prepared, self.runtime = prepared, runtime
        self.batch, self.machine = batch, machine
        self.runner, self.recipe = prepared.runner, prepared.runner.recipe
        self.raced_s = 0.0  # seconds of timing so far, with those of a search that this one resumes
        self.other_load_pct = 0.0  # largest share of the CPU that other programs took meanwhile

    def option(self, graphs: Graphs, plan: Plan, hint: PrecisionHint) -> Candidate:
        """The candidate that is raced for a plan."""
        graph = graphs.lineages[plan].final
        return Candidate.of(graph, self.runtime, hint, may_ship=True, settings=plan.settings)

    def few_images(self) -> Images:
        """A few calibration images: enough for a graph that is only raced.

        Raises:
            RecipeError: There are no calibration images.
        """
        return self._batches(self._samples()[:_FEW_IMAGES])

    def all_images(self) -> Images:
        """All calibration images, in batches as a build has them.

        Raises:
            RecipeError: There are none.
        """
        return self._batches(self._samples())

    def _samples(self) -> Sequence[Sample]:
        calibration = self.prepared.inputs.calibration
        if calibration is None:
            raise RecipeError("tune has no images to calibrate with: pass --data or --calibration")
        return calibration.images.samples

    def _batches(self, samples: Sequence[Sample]) -> Images:
        batch = self.recipe.export.batch
        return image_batches(
            samples, self.prepared.inputs.info, None if batch == "dynamic" else batch
        )

    def quantize(
        self, plans: Sequence[Plan], images: Images, *, ships: bool = False
    ) -> tuple[Graphs, dict[Plan, str]]:
        """Make the graph of every plan; return the graphs, and why others can't be made.

        With `ships` they are those that a build makes, and not only as fast.
        """
        graphs, failed = Graphs(self.prepared.graphs.folded), dict[Plan, str]()
        runner = self.runner if ships else self.runner.rounding_to_nearest()
        for plan in self.runner.track(plans, f"graphs for {self.runtime}", len(plans)):
            try:
                if float_plan(plan.form, "fp32") not in graphs.lineages:
                    add_form(
                        runner, self.prepared.inputs, graphs, plan.form, "fp32",
                        self.prepared.samples,
                    )  # fmt: skip
                add_plan(runner, graphs, plan, [self.runtime], images, images)
            except EdgeConvNextError as error:
                failed[plan] = str(error)
        return graphs, failed

    def measure(
        self,
        options: Mapping[str, Candidate],
        names: Sequence[str],
        rounds: int,
        *,
        again: bool = False,
    ) -> Rounds:
        """Time some candidates, or take the times of an earlier search on this machine.

        `again` is for a second race of the same candidates, loaded afresh.
        """
        config = self.recipe.benchmark.model_copy(
            update={"rounds": rounds, "batches": (self.batch,)}
        )

        def make(_folder: Path) -> dict[str, Any]:
            images = np.concatenate(self.prepared.samples.load())
            candidates = [replace(options[name], title=name) for name in names]
            result = benchmark(
                candidates, images, config, self.recipe.seed, self.runner.track,
                measure_memory=False,
            )  # fmt: skip
            rows = {row.artifact: list(row.round_latency_ms_p50) for row in result.rows}
            return {"rounds": rows, "other_load_pct": result.other_load_pct}

        key = {
            "space": REVISION,
            "options": {name: options[name].digest for name in names},
            "config": config.model_dump(mode="json"),
            "machine": self.machine,
            **({"again": True} if again else {}),
        }
        entry = self.runner.run(_RACE.on(self.runtime), make, key=key)
        self.raced_s += entry.seconds
        load_pct = entry.result["other_load_pct"] or 0.0
        self.other_load_pct = max(self.other_load_pct, load_pct)
        if load_pct > QUIET_PCT:
            self.runner.cache.forget(_RACE.name, entry.key)
        rows: Rounds = entry.result["rounds"]
        return rows

    def check(
        self, plans: Sequence[Plan], hints: Sequence[PrecisionHint], *, apart: bool = False
    ) -> tuple[dict[str, Checked], dict[Plan, str]]:
        """Calibrate plans on all images, and compare them with the float model in their runtime.

        With `apart`, a quarter of the images does not calibrate; the SQNR is measured on those.

        Returns:
            The comparisons by plan and hint (`entrant_name`), and by plan the reason that a graph
            can't be made.
        """
        inputs = self.prepared.inputs
        calibration = inputs.calibration
        assert calibration is not None  # `few_images` refused
        images = calibration.images.samples
        split = max(1, len(images) - len(images) // 4) if apart else len(images)
        seen, shown = self._batches(images[:split]), self._batches(images[split:] or images)
        graphs, unmade = self.quantize(plans, seen, ships=True)
        options = {
            (one.plan, hint): self.option(graphs, one.plan, hint)
            for one in graphs.quantized
            for hint in hints
        }
        evaluation: Evaluation | None = None
        if inputs.evaluation is not None and options and not apart:
            evaluation = evaluate_options(
                list(options.values()), inputs.weights, inputs.evaluation, self.runner, self.machine
            )
        checked: dict[str, Checked] = {}
        for (plan, hint), option in options.items():
            lineage = graphs.lineages[plan]
            ruling = check_in_runtime(
                self.runner, option, lineage.before(quantize.STAGE), shown, self.machine,
                measure=True, portable=lineage.stands_for,
            )  # fmt: skip
            if ruling.found is None:
                unmade[plan] = ruling.wrong or "it was not run"
                continue
            drop = evaluation.comparisons[option.name].top1_drop_pp if evaluation else None
            checked[entrant_name(plan, hint)] = Checked(
                ruling.found.here, drop, count_nodes(option.model), ruling.wrong
            )
        return checked, unmade

    def sift(self, graphs: Graphs, images: Images) -> dict[Plan, str]:
        """Why plans must not be raced: what they come to is wrong where it runs.

        A search that chooses by time alone may choose a wrong graph, for it may be the fastest.
        """
        wrong = {}
        made = graphs.quantized
        for lineage in self.runner.track(made, f"checking each in {self.runtime}", len(made)):
            found = check_in_runtime(
                self.runner,
                self.option(graphs, lineage.plan, "f32"),
                lineage.before(quantize.STAGE),
                images,
                self.machine,
                portable=lineage.stands_for,
            )
            if found.wrong is not None:
                wrong[lineage.plan] = found.wrong
        return wrong


def entrant_name(plan: Plan, hint: PrecisionHint | None) -> str:
    """The name of a plan at one float precision, such as `nhwc.inner f32`."""
    return f"{plan.label} {hint}"


def count_nodes(graph: OnnxModel) -> int:
    """Count a graph's nodes: of two that are equally fast, the one with fewer nodes wins."""
    import onnx

    if is_tflite(graph.path):  # they are counted nowhere: none of them is a tie
        return 0
    return len(onnx.load(str(graph.path), load_external_data=False).graph.node)

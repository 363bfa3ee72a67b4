"""The history of one graph: every step of the chain that its plan went through, in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import LITERT_FORMAT
from edge_convnext.core.step import Skipped, Stage, Step
from edge_convnext.stages import fuse_for_onnxruntime, quantize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.networks.plans import Plan
    from edge_convnext.stages.recover import Recovery

__all__ = ["Chosen", "Lineage", "latest"]


@dataclass(frozen=True)
class Lineage:
    """Every step that made the graph of one plan, in order, and why others did not run.

    A float lineage ends with the float graph. One of INT8 begins with the steps of its form.
    """

    plan: Plan
    steps: tuple[Step[OnnxModel] | Skipped, ...]
    recovery: Recovery | None = None  # what fine-tuning did, where it ran
    pixels: Step[OnnxModel] | None = None  # the last graph, made to take pixels where that is asked

    @property
    def ran(self) -> tuple[Step[OnnxModel], ...]:
        """The steps that ran; one that could not improve the graph has the status `skipped`."""
        return tuple(step for step in self.steps if isinstance(step, Step))

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The stages that did not run."""
        return tuple(step for step in self.steps if isinstance(step, Skipped))

    @property
    def final(self) -> Step[OnnxModel]:
        """The graph that is measured and ships."""
        return self.pixels or self.body

    @property
    def body(self) -> Step[OnnxModel]:
        """The graph as it leaves the last stage; its images are normalised values."""
        return latest(self.steps)

    @property
    def portable(self) -> Step[OnnxModel]:
        """The INT8 graph that every runtime takes: fine-tuned, if that was asked for and helped.

        The linter's findings on the quantized graph still hold: fine-tuning keeps its nodes.
        """
        step, quantized = self.before(fuse_for_onnxruntime.STAGE), self.at(quantize.STAGE)
        if quantized is None or step is quantized:
            return step
        return replace(step, reason=quantized.reason)

    @property
    def stands_for(self) -> Step[OnnxModel] | None:
        """The ONNX graph of what only LiteRT loads, for the runtimes that it is compared in."""
        return self.portable if self.plan.format == LITERT_FORMAT else None

    def at(self, stage: Stage) -> Step[OnnxModel] | None:
        """The step of one stage, in any revision; None where it did not run."""
        place = self._place(stage)
        return self.ran[place] if place < len(self.ran) else None

    def before(self, stage: Stage) -> Step[OnnxModel]:
        """The graph that a stage was given; the final one, if the stage did not run."""
        return latest(self.ran[: self._place(stage)])

    def _place(self, stage: Stage) -> int:
        """Index of a stage, in any revision; the number of all where it did not run."""
        names = [step.stage.name if step.stage else "" for step in self.ran]
        return names.index(stage.name) if stage.name in names else len(names)


@dataclass(frozen=True)
class Chosen:
    """The plans that were found for a recipe which left them open."""

    recipe: Recipe
    notes: tuple[str, ...] = ()  # how they were found
    begun: tuple[Lineage, ...] = ()  # float graphs that were made meanwhile


def latest(steps: Sequence[Step[OnnxModel] | Skipped]) -> Step[OnnxModel]:
    """The last step that made a graph: those with the status `skipped` passed theirs on."""
    return next(
        step for step in reversed(steps) if isinstance(step, Step) and step.status != "skipped"
    )

"""Graphs for a CPU that take pixels: the last step of a lineage, where the recipe asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_convnext.networks.family import family_of_model
from edge_convnext.stages import to_cpu_pixels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_convnext.build.lineage import Lineage
    from edge_convnext.build.runner import Runner
    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.core.step import Images, Step
    from edge_convnext.networks.plans import Plan

__all__ = ["pixels_step", "take_pixels"]


def take_pixels(
    runner: Runner, lineages: Iterable[Lineage], samples: Images
) -> dict[Plan, Lineage]:
    """Let graphs take pixels, all but the raw export of a family that folds, and LiteRT's.

    The first is compared as users have it. What LiteRT loads is no ONNX graph.

    Args:
        runner: Runner of this build.
        lineages: Lineages for a CPU.
        samples: Real images for the parity checks.

    Returns:
        Lineages by plan; empty where the recipe asks for no pixels.
    """
    if runner.recipe.export.input != "uint8":
        return {}
    folds = family_of_model(runner.recipe.model).folds
    return {
        one.plan: replace(one, pixels=pixels_step(runner, one.body, samples))
        for one in lineages
        if (one.plan.form != "raw" or not folds) and one.stands_for is None
    }


def pixels_step(runner: Runner, model: Step[OnnxModel], samples: Images) -> Step[OnnxModel]:
    """Let a graph for a CPU take pixels, and check that its logits stay."""
    before = model.value
    made = runner.graph(
        to_cpu_pixels.STAGE,
        before,
        lambda output: to_cpu_pixels.use_cpu_pixels(before, output),
        file=before.path.name.replace(".onnx", ".pixels.onnx"),
        what=f"taking pixels in the {before.form} form",
        compare_with=before,
        samples=samples,
        key={"model": model.digest},
    )
    return replace(made, reason=model.reason, parity=model.parity)

"""Graphs of a build in the format of LiteRT: the float in its plan's form, and the last INT8 step.

A network may have an operation that can't be written for LiteRT, or that LiteRT can't run. Where
nobody asked for LiteRT by name, it is left out then, and the report says why.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from edge_convnext.build.lineage import Lineage
from edge_convnext.core.artifacts import LITERT_FORMAT
from edge_convnext.core.errors import ExportError, InferenceError
from edge_convnext.networks.litert_plan import LITERT
from edge_convnext.networks.plans import float_plan
from edge_convnext.stages import write_litert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from edge_convnext.build.runner import Runner
    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.core.step import Images, Step
    from edge_convnext.networks.plans import Plan

__all__ = ["litert_floats", "litert_step", "own_float_plan", "try_plan"]


def own_float_plan(plan: Plan) -> Plan:
    """The plan of the float model beside the INT8 one of `plan`, in the same format."""
    return replace(float_plan(plan.form, "fp32"), format=plan.format)


def litert_floats(
    runner: Runner, plans: Iterable[Plan], begun: Mapping[Plan, Lineage], samples: Images
) -> tuple[dict[Plan, Lineage], dict[Plan, str]]:
    """Write the float graph of each of LiteRT's plans for it, and check its logits there.

    Args:
        runner: Runner of this build.
        plans: INT8 plans of a build, of every runtime.
        begun: Lineages so far, with the float graphs in ONNX.
        samples: Real images for the parity check.

    Returns:
        The lineages by their plan, and why there is none for an INT8 plan.

    Raises:
        ExportError: It can't be written, and the recipe asks for LiteRT by name.
        InferenceError: The same of one that LiteRT can't run.
    """
    made: dict[Plan, Lineage] = {}
    unwritten: dict[Plan, str] = {}
    for plan in dict.fromkeys(plans):
        if plan.format != LITERT_FORMAT:
            continue
        source, own = begun[float_plan(plan.form, "fp32")], own_float_plan(plan)

        def make(source: Lineage = source, own: Plan = own) -> None:
            step = litert_step(runner, source.body, source.body, samples)
            made[own] = Lineage(own, (*source.steps, step))

        if reason := try_plan(runner, plan, make):
            unwritten[plan] = reason
    return made, unwritten


def litert_step(
    runner: Runner, model: Step[OnnxModel], reference: Step[OnnxModel], samples: Images
) -> Step[OnnxModel]:
    """Write a graph for LiteRT, and compare its logits there with the float graph's.

    Args:
        runner: Runner of this build.
        model: Graph to write.
        reference: Float graph that it was made from, or itself.
        samples: Real images for the check.
    """
    before = model.value
    stem = before.path.name.removesuffix(".onnx")
    made = runner.graph(
        write_litert.STAGE,
        before,
        lambda output: write_litert.write_litert(before, output),
        file=f"{stem}.tflite",
        what=f"writing the {before.form} form for LiteRT",
        compare_with=reference.value,
        samples=samples,
        exact=before.precision != "int8",
        runtime=LITERT,
        key={"model": model.digest, "reference": reference.digest},
    )
    return replace(made, reason=model.reason)


def try_plan(runner: Runner, plan: Plan, make: Callable[[], object]) -> str | None:
    """Make the graph of a plan; return why a build goes on without it, None where it was made.

    Args:
        runner: Runner of this build.
        plan: Plan of the graph.
        make: Makes and adds it.

    Raises:
        ExportError: It can't be written, and it is not LiteRT's or LiteRT was asked for by name.
        InferenceError: The same of one that can't be run.
    """
    try:
        make()
    except (ExportError, InferenceError) as error:
        if plan.format != LITERT_FORMAT or runner.recipe.runtime == LITERT:
            raise
        return _without_folders(str(error), runner)
    return None


def _without_folders(text: str, runner: Runner) -> str:
    """A message about a file of the cache; its folder there is of no use to anybody."""
    cache = re.escape(f"{runner.cache.root}{os.sep}")
    return re.sub(rf"{cache}\S*{re.escape(os.sep)}", "", text)

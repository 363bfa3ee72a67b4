"""The graphs of a build that boards with an Arm CPU can use.

OpenVINO on aarch64 does not compile the INT8 form that wins in it on x86, and products that are
fused for ONNX Runtime run in that alone. Both take the Q/DQ graph that those were fused from.
Nothing is timed for an Arm CPU on another one; what is checked is what the graphs compute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import ARM_GRAPH, CPU_FOLDER
from edge_convnext.measure.candidates import Candidate
from edge_convnext.networks.arm_plans import arm_forms, arm_plan, needs_arm_plan
from edge_convnext.networks.plans import float_plan, plan_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edge_convnext.build.budget import Fallback
    from edge_convnext.build.graphs import Graphs
    from edge_convnext.build.settle import Prepared
    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.core.step import Step

__all__ = ["find_arm_graphs", "list_arm_options"]

_RUNTIME = "onnxruntime"  # what the graphs are checked in


def list_arm_options(prepared: Prepared) -> list[Candidate]:
    """List the candidates for Arm CPUs alone; they are checked in ONNX Runtime, and never raced.

    Args:
        prepared: Graphs of a build.
    """
    recipe, graphs = prepared.runner.recipe, prepared.graphs
    if not needs_arm_plan(recipe, prepared.targets, prepared.runtimes):
        return []
    alone = not prepared.runtimes
    return [
        Candidate.of(step, _RUNTIME, "f32", may_ship=alone)
        for step in _list_steps(recipe, graphs, alone=alone)
    ]


def _list_steps(recipe: Recipe, graphs: Graphs, *, alone: bool) -> Iterator[Step[OnnxModel]]:
    """The graph of the requested precision, and without a runtime here the floats."""
    plan = arm_plan(recipe)
    if recipe.precision == "int8":
        yield graphs.lineages[plan].final
    elif recipe.precision == "fp16":
        yield graphs.lineages[float_plan(plan.form, "fp16")].final
    if alone:
        yield graphs.lineages[float_plan(plan.form, "fp32")].final


def find_arm_graphs(
    prepared: Prepared, judged: Iterable[Candidate], fallbacks: Iterable[Fallback]
) -> dict[str, Step[OnnxModel]]:
    """Find the graphs for Arm CPUs that ship beside those that were chosen, by their names.

    Args:
        prepared: Graphs of a build.
        judged: Candidates that may be chosen: right where they run, and with no fallback.
        fallbacks: Fallbacks to float of graphs past the accuracy budget.
    """
    recipe, graphs = prepared.runner.recipe, prepared.graphs
    found: dict[str, Step[OnnxModel]] = {}
    quantized = _find_int8(recipe, graphs, judged, fallbacks)
    if quantized is not None:
        found[ARM_GRAPH] = quantized
    if "arm-cpu" in prepared.targets and not prepared.runtimes:
        for runtime, form in arm_forms(recipe).items():
            made = graphs.lineages[float_plan(form, "fp32")]
            found[f"{CPU_FOLDER}/fp32.{runtime}.onnx"] = made.final
    return found


def _find_int8(
    recipe: Recipe,
    graphs: Graphs,
    judged: Iterable[Candidate],
    fallbacks: Iterable[Fallback],
) -> Step[OnnxModel] | None:
    """The Q/DQ graph, if it was judged.

    Fused products with static ranges compute what the Q/DQ graph computes: their stage checks it.
    So what was judged of them holds for it. With ranges of each inference it would not.
    """
    if recipe.precision != "int8":
        return None
    fused = plan_for(recipe, _RUNTIME)
    lineage = graphs.lineages.get(arm_plan(recipe)) or graphs.lineages.get(fused)
    if lineage is None or lineage.plan.format == "onnxruntime_dynamic":
        return None
    found, made = lineage.portable, {lineage.final.digest}
    for one in fallbacks:
        if one.plan == lineage.plan and one.portable is not None:
            found, made = one.portable, {option.digest for option in one.options}
    return found if made & {one.digest for one in judged} else None

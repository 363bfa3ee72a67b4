"""Plans for Arm CPUs, which builds on another machine make and do not time.

None was measured on a board yet. The form is that of ONNX Runtime. Of ConvNeXt its products are
matrix products, which both runtimes have INT8 kernels for on aarch64, and no sum goes over two axes
at once (`runtimes.openvino.lint_aarch64`). A search on a board begins with it too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_convnext.networks.plans import Plan, plan_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.core.artifacts import CpuRuntimeName, FormName
    from edge_convnext.core.recipe import Recipe, TargetName

__all__ = ["arm_forms", "arm_plan", "needs_arm_plan", "plan_on_arm"]

_RUNTIMES: tuple[CpuRuntimeName, ...] = ("onnxruntime", "openvino")  # they run ONNX on aarch64


def arm_plan(recipe: Recipe) -> Plan:
    """Return the INT8 plan for Arm CPUs: ONNX Runtime's, in Q/DQ alone."""
    return replace(plan_for(recipe, "onnxruntime"), format="qdq", settings=())


def plan_on_arm(recipe: Recipe, runtime: CpuRuntimeName) -> Plan:
    """Return the INT8 plan that a search on an Arm board begins with.

    It is that of builds (`arm_plan`), unless a plan or a form was stated for the runtime, or its
    own form is the same.
    """
    usual, planned = plan_for(recipe, runtime), arm_plan(recipe)
    stated = runtime in recipe.plans or recipe.export.form != "auto"
    if stated or usual.form == planned.form:
        return usual
    return replace(planned, gelu=usual.gelu, range_estimator=usual.range_estimator)


def arm_forms(recipe: Recipe) -> dict[CpuRuntimeName, FormName]:
    """Return the form of the float graph for each runtime of Arm CPUs, as its plan has it."""
    return {runtime: plan_for(recipe, runtime).form for runtime in _RUNTIMES}


def needs_arm_plan(
    recipe: Recipe, targets: Sequence[TargetName], runtimes: Sequence[CpuRuntimeName]
) -> bool:
    """Whether a build makes graphs for Arm CPUs that are not among those of its own runtimes.

    Args:
        recipe: Recipe of the build.
        targets: Targets of the build.
        runtimes: Runtimes of this machine that it builds for.
    """
    dynamic = plan_for(recipe, "onnxruntime").format == "onnxruntime_dynamic"
    return "arm-cpu" in targets and ("onnxruntime" not in runtimes or dynamic)

"""The graphs of a search on a board's CPU: those of `tune`, calibrated in full.

Nothing is raced at the desk: its CPU is another one. What can't run on the board is lost there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.build.graphs import add_form
from edge_convnext.build.tuning.board.candidates import BoardGraphs
from edge_convnext.build.tuning.lab import Lab
from edge_convnext.build.tuning.space import list_plans
from edge_convnext.build.tuning.stated import as_stated, why_stated_otherwise
from edge_convnext.networks.arm_plans import plan_on_arm
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import float_plan, plan_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.build.graphs import Graphs
    from edge_convnext.build.settle import Prepared
    from edge_convnext.core.artifacts import CpuRuntimeName
    from edge_convnext.networks.plans import Plan

__all__ = ["make_cpu_graphs"]


def make_cpu_graphs(
    prepared: Prepared,
    runtimes: Sequence[CpuRuntimeName],
    batch: int,
    machine: str,
    *,
    full: bool,
    arm: bool,
) -> BoardGraphs:
    """Make the graphs to race in the CPU runtimes of a board, and the floats to beat.

    Args:
        prepared: Inputs of the search, with the folded weights.
        runtimes: Runtimes of the board.
        batch: Images per timed inference.
        machine: Fingerprint of the desk.
        full: True makes the graph of every plan; else of those near to the usual one.
        arm: True for the CPU of an Arm board: its usual plan is another one in some runtimes.

    Raises:
        RecipeError: There are no calibration images, or the recipe leaves no plan to try.
    """
    made = BoardGraphs()
    for runtime in runtimes:
        usual = (plan_on_arm if arm else plan_for)(prepared.runner.recipe, runtime)
        plans = _list(prepared, runtime, usual, full)
        lab = Lab(prepared, runtime, batch, machine)
        graphs, failed = lab.quantize(plans, lab.all_images(), ships=True)
        made.failed |= {f"{plan.label} {runtime}": reason for plan, reason in failed.items()}
        for plan in plans:
            if plan in graphs.lineages:
                made.add(graphs.lineages[plan], runtime, "cpu", usual=plan == usual)
        _add_floats(prepared, made, graphs, runtime, usual)
    made.require_int8()
    return made


def _list(prepared: Prepared, runtime: CpuRuntimeName, usual: Plan, full: bool) -> list[Plan]:
    """Plans to make, the usual one first."""
    recipe = prepared.runner.recipe
    family = family_of_model(recipe.model)
    listed, _ = list_plans(family, runtime, recipe.export.opset, None if full else usual)
    stated = [as_stated(recipe, plan, family.placer == "roles") for plan in [usual, *listed]]
    return [plan for plan in dict.fromkeys(stated) if why_stated_otherwise(recipe, plan) is None]


def _add_floats(
    prepared: Prepared, made: BoardGraphs, graphs: Graphs, runtime: CpuRuntimeName, usual: Plan
) -> None:
    """The floats that INT8 has to beat: the network as it came, and the form of the usual plan."""
    for form in dict.fromkeys(["raw", usual.form]):
        plan = float_plan(form, "fp32")
        if plan not in graphs.lineages:
            add_form(prepared.runner, prepared.inputs, graphs, form, "fp32", prepared.samples)
        made.add(graphs.lineages[plan], runtime, "cpu")

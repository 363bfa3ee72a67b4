"""The graphs of a search on a board's GPU: from the cost model, and by rules that need no GPU.

The cost model ranks the kernels of another compiler, and its favourites were the slowest forms on
the one GPU that timed them. So it orders the candidates, and does not choose among them. The usual
plan comes first, then the form that suits every runtime, and the model's favourites and the other
forms take turns.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

from edge_convnext.build.graphs import GPU_PARITY_IMAGES, Graphs, make_gpu_lineages
from edge_convnext.build.tuning.board.candidates import BoardGraphs
from edge_convnext.build.tuning.space import gpu_plan, list_gpu_forms
from edge_convnext.core.errors import EdgeConvNextError, RecipeError
from edge_convnext.data.batches import image_batches
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import plan_for_gpu

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_convnext.build.settle import Prepared
    from edge_convnext.networks.plans import Plan

__all__ = ["list_gpu_candidates", "make_gpu_graphs"]

_QUICK_INT8, _QUICK_FLOAT = 8, 4  # graphs: each is an engine, which takes a Jetson a minute or more

T = TypeVar("T")


def make_gpu_graphs(
    prepared: Prepared, batch: int, ranked: Sequence[Plan], *, full: bool
) -> BoardGraphs:
    """Make the graphs that a board builds engines of, INT8 and FP16, in the order to build them.

    Args:
        prepared: Inputs of the search, with the folded weights.
        batch: Images per inference; graphs for TensorRT have a fixed batch.
        ranked: Plans by modelled time; empty where nothing was modelled.
        full: True makes the graphs of all plans.

    Raises:
        RecipeError: There are no calibration images, or no graph can be made.
    """
    inputs, runner = prepared.inputs, prepared.runner
    if inputs.calibration is None:
        raise RecipeError("tune has no images to calibrate with: pass --data or --calibration")
    made = BoardGraphs()
    samples = inputs.calibration.images.samples
    fixed = None if runner.recipe.export.batch == "dynamic" else runner.recipe.export.batch
    calibration = image_batches(samples, inputs.info, fixed)
    usual = plan_for_gpu(runner.recipe, "int8", batch)
    plans = list_gpu_candidates(prepared, batch, ranked, full=full)
    for plan in runner.track(plans, "graphs for TensorRT", len(plans)):
        graphs = Graphs(prepared.graphs.folded)
        try:
            (lineage,) = make_gpu_lineages(
                runner, inputs, graphs, [plan], ("tensorrt",), samples[:GPU_PARITY_IMAGES],
                calibration,
            )  # fmt: skip
        except EdgeConvNextError as error:
            made.failed[f"{plan.label} {plan.precision}"] = str(error)
            continue
        made.add(lineage, "tensorrt", "typed20", usual=plan == usual)
    made.require_int8()
    return made


def list_gpu_candidates(
    prepared: Prepared, batch: int, ranked: Sequence[Plan], *, full: bool
) -> list[Plan]:
    """The plans to build, in order: INT8 and FP16 take turns, two to one.

    Args:
        prepared: Has the recipe, which may state a form or a placement.
        batch: Images per inference.
        ranked: Plans by modelled time; empty where nothing was modelled.
        full: False keeps the first ones of each precision.
    """
    recipe = prepared.runner.recipe
    family = family_of_model(recipe.model)
    forms = list_gpu_forms(batch, family)
    if recipe.export.form != "auto":
        forms = (recipe.export.form,)
    placements = tuple(family.gpu_placements) or (family.portable[1],)
    if recipe.quantize.placement != "auto":
        placements = (recipe.quantize.placement,)
    ruled8 = [gpu_plan(form, placement, batch) for placement in placements for form in forms]
    ruled16 = [gpu_plan(form, None, batch) for form in forms]
    best8 = [plan for plan in ranked if plan.precision == "int8"]
    best16 = [plan for plan in ranked if plan.precision == "fp16"]
    int8 = _once([plan_for_gpu(recipe, "int8", batch), *_in_turn(ruled8, best8)])
    fp16 = _once([plan_for_gpu(recipe, "fp16", batch), *_in_turn(ruled16, best16)])
    if not full:
        int8, fp16 = int8[:_QUICK_INT8], fp16[:_QUICK_FLOAT]
    return _two_to_one(int8, fp16)


def _in_turn(first: Iterable[T], second: Iterable[T]) -> list[T]:
    pairs = zip_longest(first, second)
    return [one for pair in pairs for one in pair if one is not None]


def _once(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))


def _two_to_one(many: Sequence[T], few: Sequence[T]) -> list[T]:
    pairs = [many[at : at + 2] for at in range(0, len(many), 2)]
    mixed = []
    for pair, one in zip_longest(pairs, few):
        mixed += [*(pair or ()), *([one] if one is not None else ())]
    return mixed

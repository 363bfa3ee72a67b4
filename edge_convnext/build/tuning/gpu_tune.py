"""`tune --target rtx`: rank the plans of a model for a device, at several batch sizes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edge_convnext.build.settle import prepare
from edge_convnext.build.tuning.cost_model import Calibration
from edge_convnext.build.tuning.gpu_search import GpuSearch
from edge_convnext.core.errors import MissingDependencyError, RecipeError
from edge_convnext.core.progress import Track, untracked
from edge_convnext.devices.catalog.delivery import deliver
from edge_convnext.devices.catalog.lookup import find_device
from edge_convnext.devices.catalog.rtx import RTX_CAPABILITIES
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.family import family_of_model
from edge_convnext.runtimes.tensorrt.rtx_builder import why_no_rtx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_convnext.build.settle import Prepared
    from edge_convnext.build.tuning.cost_model import Gpu
    from edge_convnext.build.tuning.trials import GpuTrial
    from edge_convnext.core.cache import Cache
    from edge_convnext.core.recipe import Recipe

__all__ = [
    "GpuTuneResult",
    "candidate_count",
    "device_fields",
    "engine_plans",
    "plan_capability",
    "prepare_batch",
    "tune_gpu",
    "with_engine_plans",
]

_STANDS_IN = "8.6"  # compiled for in place of capabilities that TensorRT for RTX does not have


@dataclass(frozen=True)
class GpuTuneResult:
    """The result of a search; the verdict stays `undecided`, because nothing was timed."""

    gpu: Gpu
    calibration: Calibration
    capability: str  # compute capability that the plans were compiled for
    trials: tuple[GpuTrial, ...]  # by batch, precision and modelled time, candidates first
    seconds: float

    timed: Literal[False] = False
    verdict: Literal["undecided"] = "undecided"

    @property
    def note(self) -> str:
        """One to three sentences on where the figures come from."""
        what = (
            f"Modelled, not timed: launches, bytes and operations of the kernels that TensorRT for "
            f"RTX compiles, over the figures of {self.gpu.name}."
        )
        if self.capability != self.gpu.capability:
            what += (
                f" It compiles nothing for compute capability {self.gpu.capability}: the plans are "
                f"those of {self.capability}."
            )
        if self.gpu.unverified:
            what += f" Unverified: {', '.join(self.gpu.unverified)}."
        return what


def tune_gpu(
    recipe: Recipe,
    gpu: Gpu,
    batches: Sequence[int],
    cache: Cache,
    track: Track = untracked,
    *,
    every: bool = False,
    calibration: Calibration | None = None,
) -> GpuTuneResult:
    """Rank graph forms and placements at each batch size; float16 always, INT8 on request.

    Args:
        recipe: Recipe with the model, its data and the accuracy budget; `int8` or `fp16`.
        gpu: Device to model.
        batches: Batch sizes; each has a search of its own.
        cache: Cache of graphs, plans and comparisons; a finished search is answered at once.
        track: Shows work that takes long.
        every: True builds also the plans that can't win.
        calibration: Calibration of the cost model from measurements; None assumes usual values.

    Raises:
        MissingDependencyError: TensorRT for RTX is not installed, or not made for this machine.
        RecipeError: The precision is fp32, folds are off, or INT8 has no calibration images.
        EdgeConvNextError: A stage failed, as in a build.
    """
    if recipe.precision == "fp32":
        raise RecipeError("tune --target rtx ranks float16 and INT8 plans, not fp32")
    if family_of_model(recipe.model).folds and not recipe.fold.enabled:
        raise RecipeError("tune has forms of folded weights alone: set fold.enabled to true")
    device_fields(gpu)  # it has engines
    if reason := why_no_rtx():
        raise MissingDependencyError(f"reading the plans of a GPU: {reason}")
    started = time.monotonic()
    machine = environment()
    assumed = calibration or Calibration()
    capability = plan_capability(gpu.capability)
    trials: list[GpuTrial] = []
    for batch in dict.fromkeys(batches):
        prepared = prepare_batch(recipe, batch, cache, machine["versions"], track)
        search = GpuSearch(prepared, gpu, assumed, capability, machine["fingerprint"])
        trials += search.run(every=every)
    return GpuTuneResult(gpu, assumed, capability, tuple(trials), time.monotonic() - started)


def prepare_batch(
    recipe: Recipe, batch: int, cache: Cache, versions: dict[str, str], track: Track = untracked
) -> Prepared:
    """Load and fold the weights for graphs of one fixed batch size, as TensorRT's forms need.

    Raises:
        EdgeConvNextError: The recipe, the weights or the data are refused.
    """
    fixed = recipe.model_copy(
        update={
            "targets": ("rtx",),
            "export": recipe.export.model_copy(update={"batch": batch}),
            # The batch to time is stated too: the two must agree.
            "benchmark": recipe.benchmark.model_copy(update={"batches": (batch,)}),
            "recover": recipe.recover.model_copy(update={"enabled": False}),
        }
    )
    return prepare(fixed, cache, versions, track, fold_only=True)


def plan_capability(capability: str) -> str:
    """The compute capability to compile for: the device's own, or one that stands in for it."""
    return capability if capability in RTX_CAPABILITIES else _STANDS_IN


def engine_plans(result: GpuTuneResult, place: int = 1) -> dict[str, dict[str, dict[str, str]]]:
    """The candidates in the format of a recipe's `engine.plans`: by precision, then by batch.

    Args:
        result: Result of the search.
        place: Rank of the candidates, from 1 for those that were picked. A precision and batch
            that has fewer candidates gives its last one.
    """
    plans: dict[str, dict[str, dict[str, str]]] = {}
    for one in result.trials:
        own = [
            each.rank
            for each in result.trials
            if each.rank and (each.batch, each.plan.precision) == (one.batch, one.plan.precision)
        ]
        if one.rank is not None and one.rank == min(place, max(own)):
            stated: dict[str, str] = {"form": one.plan.form}
            if one.plan.placement is not None:
                stated["placement"] = one.plan.placement
            plans.setdefault(one.plan.precision, {})[str(one.batch)] = stated
    return plans


def candidate_count(result: GpuTuneResult) -> int:
    """The largest number of candidates of any precision and batch."""
    return max((one.rank for one in result.trials if one.rank), default=0)


def device_fields(gpu: Gpu) -> dict[str, Any]:
    """`targets` of a recipe for a device, and `engine` if its engine is built ahead of time.

    Raises:
        RecipeError: The device gets only ONNX files, so it has no plans to rank.
    """
    way = deliver(find_device(gpu.name))
    if way.kind == "onnx_only":
        raise RecipeError(
            f"{gpu.name} gets ONNX files and no engine ({way.reason}), so there is no plan to "
            "rank for it: edge-convnext targets lists others"
        )
    if way.kind == "on_board":
        return {"targets": ["tensorrt"]}
    return {"targets": ["rtx"], "engine": {"compute_capabilities": [gpu.capability]}}


def with_engine_plans(
    fields: Mapping[str, Any], plans: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> dict[str, Any]:
    """The fields of a recipe, with the plans of its engines."""
    engine = {**(fields.get("engine") or {}), "plans": {key: dict(plans[key]) for key in plans}}
    return {**fields, "engine": engine}

"""GPU plans: the graph form and the placement for TensorRT, by precision and batch size, as data.

The shipped ones are in `recipes/gpu/plans.yaml` with their source. A recipe's `engine.plans` come
first, but for TensorRT 8.6, and what it states for every runtime (`export.form`,
`quantize.placement`) before those.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import yaml

from edge_convnext.core.recipe import GpuPlanConfig
from edge_convnext.networks.family import family_of_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_convnext.core.artifacts import FormName, PlacementName, Precision
    from edge_convnext.core.recipe import Recipe, TargetName

__all__ = [
    "GpuFamily",
    "GpuPlan",
    "PlannedPrecision",
    "choose_batches",
    "list_gpu_plans",
    "plan_for_gpu",
]

PlannedPrecision = Literal["fp16", "int8"]
# Typed graphs are for TensorRT 10 and later and for RTX; `tensorrt8` is for 8.6.
GpuFamily = Literal["typed", "tensorrt8"]

_BATCHES = (1, 8)
_UNASKED_BATCHES = (1,)  # where nobody named a GPU target: each batch size takes some seconds


@dataclass(frozen=True)
class GpuPlan:
    """One graph for TensorRT."""

    precision: Precision
    batch: int
    form: FormName
    placement: PlacementName | None = None  # of Q/DQ; None for float graphs
    family: GpuFamily = "typed"

    @property
    def label(self) -> str:
        """Unique within a family, as `late_mixed.blocks.b1` is; begins its graphs' names."""
        placement = f".{self.placement}" if self.placement else ""
        return f"{self.form}{placement}.b{self.batch}"


def choose_batches(recipe: Recipe) -> tuple[int, ...]:
    """The batch sizes that graphs and engines are made for, in rising order."""
    stated = recipe.engine.batches
    if stated != "auto":
        return tuple(sorted(set(stated)))
    if recipe.export.batch != "dynamic":
        return (recipe.export.batch,)
    return _UNASKED_BATCHES if recipe.targets == "auto" else _BATCHES


def list_gpu_plans(recipe: Recipe, targets: Sequence[TargetName]) -> tuple[GpuPlan, ...]:
    """What a build makes for its GPU targets, the requested precision first; none without one.

    INT8 comes with FP16, which it has to beat on the device.
    """
    if not set(targets) - {"cpu"}:
        return ()
    precisions: tuple[Precision, ...] = (recipe.precision,)
    if recipe.precision == "int8":
        precisions = ("int8", "fp16")
    families: tuple[GpuFamily, ...]
    families = ("typed", "tensorrt8") if "tensorrt" in targets else ("typed",)
    return tuple(
        plan_for_gpu(recipe, precision, batch, family)
        for family in families
        for precision in precisions
        for batch in choose_batches(recipe)
    )


def plan_for_gpu(
    recipe: Recipe, precision: Precision, batch: int, family: GpuFamily = "typed"
) -> GpuPlan:
    """The plan of one precision at one batch size; FP32 has FP16's form."""
    planned: PlannedPrecision = "int8" if precision == "int8" else "fp16"
    plans = dict(_shipped()[family][planned])
    if family == "typed":  # the recipe's are those of `tune --target rtx`
        plans |= recipe.engine.plans.get(planned, {})
    best = plans[max(size for size in plans if size <= batch)]
    owner = family_of_model(recipe.model)
    if best.form not in (*owner.forms, *owner.gpu_forms):  # the shipped ones are of another family
        best = GpuPlanConfig(form=owner.portable[0], placement=owner.portable[1])
    form = best.form if recipe.export.form == "auto" else recipe.export.form
    if not (recipe.fold.enabled and owner.folds):
        form = "raw"  # every other form is written on folded weights
    if precision != "int8":
        return GpuPlan(precision, batch, form, family=family)
    stated = recipe.quantize.placement
    placement = best.placement if stated == "auto" else stated
    return GpuPlan(precision, batch, form, placement, family)


@lru_cache(maxsize=1)
def _shipped() -> Mapping[GpuFamily, Mapping[PlannedPrecision, Mapping[int, GpuPlanConfig]]]:
    from edge_convnext.core.recipe import EngineConfig, recipe_folder

    path = recipe_folder() / "gpu" / "plans.yaml"
    shipped = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        family: EngineConfig.model_validate({"plans": plans}).plans
        for family, plans in shipped.items()
    }

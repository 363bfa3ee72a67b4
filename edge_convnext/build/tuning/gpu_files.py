"""The results of a search for a GPU as files: `tune.json` and recipes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.tuning.files import TUNE, write_tune_files
from edge_convnext.build.tuning.gpu_tune import (
    GpuTuneResult,
    candidate_count,
    device_fields,
    engine_plans,
    tune_gpu,
    with_engine_plans,
)
from edge_convnext.build.tuning.trials import CANDIDATES
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.data.places import require_outside
from edge_convnext.devices.doctor import environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_convnext.build.tuning.cost_model import Calibration, Gpu
    from edge_convnext.build.tuning.trials import GpuTrial
    from edge_convnext.core.progress import Track
    from edge_convnext.core.recipe import Recipe

__all__ = ["SCHEMA", "GpuTuneReport", "candidate_out", "trial_fields", "tune_gpu_to_files"]

SCHEMA = "edge-convnext/tune-gpu/1"
_RECIPES = ("tuned.yaml", *(f"tuned-{place}.yaml" for place in range(2, CANDIDATES + 1)))


@dataclass(frozen=True)
class GpuTuneReport:
    """A search, the model it was for, and the machine it ran on."""

    recipe: Recipe
    result: GpuTuneResult
    environment: Mapping[str, Any]

    @property
    def recipes(self) -> tuple[str, ...]:
        """Recipes next to `tune.json`; the first builds the plans that were picked."""
        return _RECIPES[: candidate_count(self.result)]

    def to_json(self) -> dict[str, Any]:
        """Plain values, the same as in `tune.json`."""
        result = self.result
        rows = [trial_fields(one) for one in result.trials]
        return {
            "schema": SCHEMA,
            "target": "rtx",
            "timed": result.timed,
            "verdict": result.verdict,
            "note": result.note,
            "model": self.recipe.model,
            "image_size": self.recipe.preprocess.image_size,
            "weights": Path(self.recipe.load.weights or "demo").name,
            "device": {**asdict(result.gpu), "fp16_tflops": result.gpu.fp16_tflops},
            "plan_compute_capability": result.capability,
            "calibration": asdict(result.calibration),
            "seconds": round(result.seconds, 1),
            "environment": dict(self.environment),
            "plans": engine_plans(result),
            "recipes": list(self.recipes),
            "candidates": [row for row in rows if row["rank"] is not None],
            "trials": rows,
        }


def trial_fields(one: GpuTrial) -> dict[str, Any]:
    """A trial as plain values."""
    cost = None
    if one.cost is not None:
        cost = {**asdict(one.cost), "modelled_ms": one.cost.modelled_ms}
        cost["shares_pct"] = dict(
            zip(("launch", "bytes", "compute"), one.cost.shares_pct, strict=True)
        )
    return {
        "precision": one.plan.precision,
        "batch": one.batch,
        "form": one.plan.form,
        "placement": one.plan.placement,
        "rank": one.rank,
        "picked": one.picked,
        "reason": one.reason,
        "timed": False,
        "cost": cost,
        "parity": asdict(one.parity) if one.parity else None,
        "top1_drop_pp": one.top1_drop_pp,
    }


def tune_gpu_to_files(
    recipe: Recipe,
    gpu: Gpu,
    batches: Sequence[int],
    folder: Path,
    track: Track,
    *,
    every: bool = False,
    cache: Cache | None = None,
    calibration: Calibration | None = None,
) -> GpuTuneReport:
    """Search plans for a GPU, and write `tune.json` and recipes of the candidates into a folder.

    Raises:
        EdgeConvNextError: An error of `gpu_tune.tune_gpu`; nothing is written then.
    """
    import yaml

    require_outside(folder, recipe.data.source, recipe.data.calibration)
    store = cache or Cache(default_cache_folder(os.environ))
    result = tune_gpu(recipe, gpu, batches, store, track, every=every, calibration=calibration)
    report = GpuTuneReport(recipe, result, environment())
    texts = {TUNE: json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n"}
    for place, name in enumerate(report.recipes, 1):
        fields = _recipe_fields(recipe, result, batches, place)
        texts[name] = yaml.safe_dump(fields, sort_keys=False)
    write_tune_files(folder, texts)
    return report


def candidate_out(folder: Path, name: str) -> Path:
    """A build folder for one of a search's recipes, different for each."""
    return Path("build") / f"{folder.name}-{Path(name).stem}"


def _recipe_fields(
    recipe: Recipe, result: GpuTuneResult, batches: Sequence[int], place: int
) -> dict[str, Any]:
    """A recipe that builds one candidate of each precision and batch size for the device."""
    fields = recipe.model_dump(mode="json", exclude_unset=True)
    for_device = device_fields(result.gpu)
    engine = {**(fields.get("engine") or {}), **for_device.pop("engine", {})}
    if recipe.engine.batches == "auto":  # build what was searched, not 1 and 8
        engine["batches"] = sorted(set(batches))
    fields |= {
        "name": Path(_RECIPES[place - 1]).stem,
        "model": recipe.model,
        **for_device,
        "engine": engine,
    }
    return with_engine_plans(fields, engine_plans(result, place))

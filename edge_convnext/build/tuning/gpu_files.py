"""Write a search for a GPU down: `tune.json`, `tuned.yaml`, and tables for the terminal."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.tuning.files import TUNE, write_tune_files
from edge_convnext.build.tuning.gpu_trials import CANDIDATES
from edge_convnext.build.tuning.gpu_tune import (
    GpuTuneResult,
    candidate_count,
    device_fields,
    engine_plans,
    tune_gpu,
    with_engine_plans,
)
from edge_convnext.core.cache import Cache, default_cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from edge_convnext.build.tuning.cost_model import Calibration, Gpu
    from edge_convnext.build.tuning.gpu_trials import GpuTrial
    from edge_convnext.core.progress import Track
    from edge_convnext.core.recipe import Recipe

__all__ = ["SCHEMA", "GpuTuneReport", "candidate_out", "trial_fields", "tune_gpu_to_files"]

SCHEMA = "edge-convnext/tune-gpu/1"
_RECIPES = ("tuned.yaml", *(f"tuned-{place}.yaml" for place in range(2, CANDIDATES + 1)))
_SHOWN = 8  # trials of a table; tune.json has all
_HEAD = ("", "form", "placement", "kernels", "MB", "GOP", "ms*", "l/b/o %", "dB", "drop pp", "why")
_LEFT = ("", "form", "placement", "why")
_WIDE = 110  # columns that the reasons need; tune.json has them too
_LEGEND = (
    "l/b/o %: shares of the time that kernels spend on being launched, on bytes they read and "
    "write, and on operations. MB: what the kernels read and "
    "write, weights included. dB, drop: INT8 against its float graph, where that was checked."
)


@dataclass(frozen=True)
class GpuTuneReport:
    """A search, the model it was for, and the machine it ran on."""

    recipe: Recipe
    result: GpuTuneResult
    environment: Mapping[str, Any]

    @property
    def recipes(self) -> tuple[str, ...]:
        """Files beside `tune.json`: the first builds what was picked."""
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

    def print(self, console: Console) -> None:
        """A table for each batch and precision, the fastest by the model first."""
        for batch in dict.fromkeys(one.batch for one in self.result.trials):
            for precision in ("fp16", "int8"):
                own = [
                    one
                    for one in self.result.trials
                    if (one.batch, one.plan.precision) == (batch, precision)
                ]
                if own:
                    title = f"{self.result.gpu.name}, batch {batch}, {precision}"
                    table = _table(title, own, wide=console.width >= _WIDE)
                    console.print(table, highlight=False)
        console.print(f"* {self.result.note} {_LEGEND}", style="dim", highlight=False)
        console.print(
            "Verdict: undecided, since no GPU timed anything.",
            highlight=False,
        )


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
    """Search, and write `tune.json` and a recipe for each candidate into a folder.

    Raises:
        EdgeConvNextError: See `tune.tune_gpu`; nothing is written then.
    """
    import yaml

    from edge_convnext.devices.doctor import environment

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
    """A folder of its own for the build of one of the recipes in the search's folder."""
    return Path("build") / f"{folder.name}-{Path(name).stem}"


def _recipe_fields(
    recipe: Recipe, result: GpuTuneResult, batches: Sequence[int], place: int
) -> dict[str, Any]:
    """A recipe that builds one candidate of each precision and batch, for the device."""
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


def _table(title: str, trials: Sequence[GpuTrial], *, wide: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    built = [one for one in trials if one.cost is not None]
    unbuilt = len(trials) - len(built)
    table = Table(
        title=f"{title}: {len(built)} modelled, not timed; {unbuilt} not built",
        title_justify="left",
        box=None,
        padding=(0, 2 if wide else 1, 0, 0),
        pad_edge=False,
    )
    head = _HEAD if wide else _HEAD[:-1]
    for name in head:
        folds = name in ("form", "placement", "why")
        table.add_column(
            name,
            justify="left" if name in _LEFT else "right",
            no_wrap=not folds,
            overflow="fold",
            min_width=8 if folds else None,
        )
    for one in built[:_SHOWN]:
        table.add_row(*map(Text, _cells(one)[: len(head)]))
    return table


def _cells(one: GpuTrial) -> tuple[str, ...]:
    cost = one.cost
    assert cost is not None  # those without are not shown
    sqnr_db = one.parity.sqnr_db if one.parity else None
    return (
        "pick" if one.picked else str(one.rank or ""),
        one.plan.form,
        one.plan.placement or "-",
        str(cost.kernels),
        f"{(cost.activation_bytes + cost.weight_bytes) / 1e6:.1f}",
        f"{cost.ops / 1e9:.2f}",
        f"{cost.modelled_ms:.3f}",
        "/".join(f"{share:.0f}" for share in cost.shares_pct),
        "-" if sqnr_db is None else f"{sqnr_db:.1f}",
        "-" if one.top1_drop_pp is None else f"{one.top1_drop_pp:.2f}",
        one.reason,
    )

"""The results of a search on a board as files: `tune.json`, `tuned.yaml`, the graph that won."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.tuning.board.tune import BoardAim, BoardTuned, tune_on_board
from edge_convnext.build.tuning.files import MODELS, TUNE, write_tune_files
from edge_convnext.build.tuning.gpu_tune import with_engine_plans
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.places import require_outside
from edge_convnext.networks.plans import plan_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_convnext.build.inputs import Inputs
    from edge_convnext.core.progress import Track
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.networks.plans import Plan

__all__ = ["SCHEMA", "BoardTuneReport", "tune_board_to_files"]

SCHEMA = "edge-convnext/tune-board/1"
_GRAPH, *_ENGINE = MODELS


@dataclass(frozen=True)
class BoardTuneReport:
    """A search on a board, and what of it was written."""

    tuned: BoardTuned
    files: tuple[str, ...]  # beside `tune.json` and `tuned.yaml`
    recipes: tuple[str, ...] = ("tuned.yaml",)

    def to_json(self) -> dict[str, Any]:
        """Plain values, the same as in `tune.json`."""
        tuned, won = self.tuned, self.tuned.found.won
        recipe = tuned.recipe
        return {
            "schema": SCHEMA,
            "target": tuned.aim.target,
            "host": tuned.aim.host,
            "mode": "full" if tuned.aim.full else "quick",
            "model": recipe.model,
            "image_size": recipe.preprocess.image_size,
            "weights": Path(recipe.load.weights or "demo").name,
            "batch": tuned.batch,
            "seconds": round(tuned.seconds, 1),
            "environment": dict(tuned.environment),
            "winner": {
                "name": won.name,
                "plan": _plan_of(tuned.plan),
                "file": _GRAPH,
                "sha256": won.sha256,
            },
            "recipes": list(self.recipes),
            "files": list(self.files),
            "not_made": dict(tuned.failed),
            "notes": list(tuned.notes),
            "board": tuned.found.to_json(),
        }


def tune_board_to_files(
    recipe: Recipe,
    aim: BoardAim,
    folder: Path,
    track: Track,
    say: Callable[[str], None],
    cache: Cache | None = None,
    on_read: Callable[[Inputs], None] | None = None,
) -> BoardTuneReport:
    """Search on a board, and write what won into a folder.

    Raises:
        EdgeConvNextError: An error of `tune_on_board`; an earlier search's files stay then, and
            the journal says what was done.
    """
    require_outside(folder, recipe.data.source, recipe.data.calibration)
    store = cache or Cache(default_cache_folder(os.environ))
    written: list[BoardTuneReport] = []
    tune_on_board(
        recipe, aim, folder, store, track, say,
        lambda tuned: written.append(_write(tuned, folder)), on_read,
    )  # fmt: skip
    return written[0]


def _write(tuned: BoardTuned, folder: Path) -> BoardTuneReport:
    import yaml

    copies = {_GRAPH: tuned.graph, **{path.name: path for path in tuned.engine}}
    report = BoardTuneReport(tuned, tuple(copies))
    text = json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n"
    recipe = yaml.safe_dump(_recipe_fields(tuned), sort_keys=False)
    write_tune_files(folder, {TUNE: text, "tuned.yaml": recipe}, copies)
    return report


def _plan_of(plan: Plan) -> dict[str, Any]:
    if plan.batch is None:
        return plan_fields(plan)
    return {"form": plan.form, "placement": plan.placement, "batch": plan.batch}


def _recipe_fields(tuned: BoardTuned) -> dict[str, Any]:
    """A recipe whose build makes the graph that won, byte by byte."""
    recipe, plan, won = tuned.recipe, tuned.plan, tuned.found.won
    fields = recipe.model_dump(mode="json", exclude_unset=True)
    fields |= {"name": "tuned", "model": recipe.model}
    if plan.batch is None:
        plans = {**(fields.get("plans") or {}), won.runtime: plan_fields(plan)}
        return {**fields, "runtime": won.runtime, "plans": plans}
    size = str(plan.batch)
    by_precision = {"int8": {size: {"form": plan.form, "placement": str(plan.placement)}}}
    if tuned.float_plan is not None:
        by_precision["fp16"] = {size: {"form": tuned.float_plan.form}}
    engine = {**(fields.get("engine") or {}), "batches": [plan.batch]}
    fields |= {"targets": ["tensorrt"], "engine": engine}
    return with_engine_plans(fields, by_precision)

"""The results of a search on a board as files: `tune.json`, `tuned.yaml`, the graph that won."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.tuning.files import MODELS, TUNE, write_tune_files
from edge_convnext.networks.plans import plan_fields

if TYPE_CHECKING:
    from edge_convnext.build.tuning.board.values import BoardTuned
    from edge_convnext.networks.plans import Plan

__all__ = ["SCHEMA", "BoardTuneReport", "write_board_files"]

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


def write_board_files(tuned: BoardTuned, folder: Path) -> BoardTuneReport:
    """Write what won into a folder, in place of an earlier search's files.

    Raises:
        ArtifactError: The folder or the disk has no room for them; what was there stays.
    """
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
    engine = {**(fields.get("engine") or {}), "batches": [plan.batch], "plans": by_precision}
    return {**fields, "targets": ["tensorrt"], "engine": engine}

"""The results of a search as files: `tune.json`, and the winners as a recipe."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.tuning.files import TUNE, write_tune_files
from edge_convnext.build.tuning.tune import Mode, TuneResult, tune, tuned_recipe
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.data.places import require_outside
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.plans import plan_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_convnext.build.tuning.trials import Trial
    from edge_convnext.core.progress import Track
    from edge_convnext.core.recipe import Recipe

__all__ = ["SCHEMA", "TuneReport", "tune_to_files"]

SCHEMA = "edge-convnext/tune/1"


@dataclass(frozen=True)
class TuneReport:
    """A search, the model it was for, and the machine it ran on."""

    recipe: Recipe
    result: TuneResult
    environment: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values, the same as in `tune.json`."""
        result = self.result
        size = self.recipe.preprocess.image_size
        return {
            "schema": SCHEMA,
            "model": self.recipe.model,
            "image_size": size,
            "weights": Path(self.recipe.load.weights or "demo").name,
            "batch": result.batch,
            "threads": self.recipe.benchmark.threads,
            "mode": result.mode,
            "seconds": round(result.seconds, 1),
            "environment": dict(self.environment),
            "stopped": dict(result.stopped),
            "refined": dict(result.refined),
            "other_load_pct": round(result.other_load_pct, 1),
            "winners": {runtime: plan_fields(plan) for runtime, plan in result.winners.items()},
            "trials": [_trial_fields(trial) for trial in result.trials],
        }


def _trial_fields(trial: Trial) -> dict[str, Any]:
    fields = asdict(trial)
    # The plan's fields as a recipe has them, except settings: pairs, which keep their order.
    fields["plan"] = plan_fields(trial.plan) | {"settings": trial.plan.settings}
    return fields


def tune_to_files(
    recipe: Recipe,
    mode: Mode,
    folder: Path,
    track: Track,
    cache: Cache | None = None,
    batch: int | None = None,
) -> TuneReport:
    """Search plans, and write `tune.json` and `tuned.yaml` into a folder.

    Raises:
        EdgeConvNextError: An error of `tune.tune`; nothing is written then.
    """
    import yaml

    require_outside(folder, recipe.data.source, recipe.data.calibration)
    result = tune(recipe, mode, cache or Cache(default_cache_folder(os.environ)), track, batch)
    report = TuneReport(recipe, result, environment())
    text = json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n"
    fields = tuned_recipe(recipe, result).model_dump(mode="json", exclude_unset=True)
    fields |= {"name": "tuned", "model": recipe.model}
    recipe_text = yaml.safe_dump(fields, sort_keys=False)
    write_tune_files(folder, {TUNE: text, "tuned.yaml": recipe_text})
    return report

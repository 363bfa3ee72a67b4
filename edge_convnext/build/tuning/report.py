"""Write a search down: `tune.json`, the winners as a recipe, and a table for the terminal."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.plans import plan_fields
from edge_convnext.build.tuning.files import TUNE, write_tune_files
from edge_convnext.build.tuning.tune import Mode, TuneResult, tune, tuned_recipe
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.measure.contention import QUIET_PCT
from edge_convnext.report.summary import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from edge_convnext.build.tuning.trials import Trial
    from edge_convnext.core.progress import Track
    from edge_convnext.core.recipe import Recipe

__all__ = ["SCHEMA", "TuneReport", "tune_to_files"]

SCHEMA = "edge-convnext/tune/1"
_SHOWN = 12  # trials per runtime in the terminal; tune.json has all


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
            "other_load_pct": round(result.other_load_pct, 1),
            "winners": {runtime: plan_fields(plan) for runtime, plan in result.winners.items()},
            "trials": [asdict(trial) for trial in result.trials],
        }

    def print(self, console: Console) -> None:
        """The fastest trials of each runtime, the Pareto front marked."""
        from rich.table import Table
        from rich.text import Text

        for runtime, stopped in self.result.stopped.items():
            trials = [one for one in self.result.trials if one.runtime == runtime]
            timed = [one for one in trials if one.lap is not None]
            table = Table(
                title=f"{runtime}: {len(timed)} raced, {len(trials) - len(timed)} not; {stopped}",
                title_justify="left",
                box=None,
                padding=(0, 2, 0, 0),
                pad_edge=False,
            )
            table.add_column("", no_wrap=True)
            table.add_column("plan", overflow="fold")
            for name in ("ms", "dB", "drop pp"):
                table.add_column(name, justify="right", no_wrap=True)
            table.add_column("why", overflow="fold", ratio=1)
            for one in timed[:_SHOWN]:
                table.add_row(*(Text(plain(cell)) for cell in _cells(one, _on_front(one, timed))))
            console.print(table, highlight=False)
        console.print(
            "ms: in the last rung that a plan ran in. Rungs run at different times: compare the "
            "ratios, which are paired by round. dB, drop: of the plans that were checked.",
            style="dim",
            highlight=False,
        )
        if self.result.other_load_pct > QUIET_PCT:
            console.print(
                f"Other programs took up to {self.result.other_load_pct:.0f} % of the CPU during "
                "the races: tune again on an idle machine. What was timed meanwhile is not "
                "remembered.",
                highlight=False,
            )


def tune_to_files(
    recipe: Recipe,
    mode: Mode,
    folder: Path,
    track: Track,
    cache: Cache | None = None,
    batch: int | None = None,
) -> TuneReport:
    """Search, and write `tune.json` and `tuned.yaml` into a folder.

    Raises:
        EdgeConvNextError: See `tune.tune`; nothing is written then.
    """
    import yaml

    from edge_convnext.devices.doctor import environment

    result = tune(recipe, mode, cache or Cache(default_cache_folder(os.environ)), track, batch)
    report = TuneReport(recipe, result, environment())
    text = json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n"
    fields = tuned_recipe(recipe, result).model_dump(mode="json", exclude_unset=True)
    fields |= {"name": "tuned", "model": recipe.model}
    recipe_text = yaml.safe_dump(fields, sort_keys=False)
    write_tune_files(folder, {TUNE: text, "tuned.yaml": recipe_text})
    return report


def _cells(one: Trial, front: bool) -> tuple[str, ...]:
    parity = one.parity
    sqnr = "-" if parity is None or parity.sqnr_db is None else f"{parity.sqnr_db:.1f}"
    drop = "-" if one.top1_drop_pp is None else f"{one.top1_drop_pp:.2f}"
    mark = "won" if one.won else ("front" if front else "")
    latency = "-" if one.lap is None else f"{one.lap.latency_ms_p50:.2f}"
    plan = " ".join(filter(None, [one.plan.label, one.hint])).replace("+", " ")
    return mark, plan, latency, sqnr, drop, one.reason


def _on_front(one: Trial, timed: list[Trial]) -> bool:
    """Whether no other finalist is as fast and more accurate."""
    if one.parity is None or one.lap is None:
        return False
    own = one.parity.sqnr_db or float("inf")
    return not any(
        other.lap is not None
        and other.parity is not None
        and other.heat == one.heat
        and other.lap.ratio <= one.lap.ratio
        and (other.parity.sqnr_db or float("inf")) > own
        for other in timed
    )

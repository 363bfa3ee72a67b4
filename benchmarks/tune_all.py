"""Tune the shipped plans: `edge-convnext tune --mode full` per model, kept with its evidence.

    python benchmarks/tune_all.py [--atto-weights W.pth --data DATA] [MODEL …]

Writes `recipes/tuned/<model>.yaml` and `benchmarks/results/<date>-tune-<model>.json`. Run it on
an idle machine. A model without weights gets random ones, calibrated on a few images of the data:
that decides speed, and whether each runtime computes what the graph says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import datetime, timezone
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import yaml

from edge_convnext.build.tuning.report import tune_to_files
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.progress import untracked
from edge_convnext.networks.recipe_file import resolve_recipe

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MODELS = ("atto", "femto", "pico", "nano")
IMAGE_SIZE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--atto-weights")
    parser.add_argument("--data")
    arguments = parser.parse_args()
    for name in arguments.models:
        overrides = {
            "model": name,
            "preprocess.image_size": IMAGE_SIZE,
            "benchmark.batches": [1],
            "load.weights": "random",
            "quantize.subset_size": 32,
            "quantize.activations_range_estimator": "reconstruction",
        }
        if arguments.data:
            overrides["data.source"] = arguments.data
        if name == "atto" and arguments.atto_weights:
            overrides["load.weights"] = arguments.atto_weights
            for name_of_field in ("subset_size", "activations_range_estimator"):
                del overrides[f"quantize.{name_of_field}"]  # here accuracy counts
        recipe = resolve_recipe(None, overrides)
        scratch = ROOT / "build" / "tune" / name
        cache = Cache(default_cache_folder(os.environ))
        report = tune_to_files(recipe, "full", scratch, untracked, cache)
        date = datetime.now(timezone.utc).date().isoformat()
        evidence = RESULTS / f"{date}-tune-{name}.json"
        fields = {**report.to_json(), "date": date}
        evidence.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
        tuned = ROOT / "recipes" / "tuned" / f"{recipe.model}.yaml"
        tuned.write_text(
            f"# `edge-convnext tune --mode full`, {IMAGE_SIZE} px, batch 1: "
            f"benchmarks/results/{evidence.name}\n"
            + yaml.safe_dump({"plans": fields["winners"]}, sort_keys=False),
            encoding="utf-8",
        )
        sys.stderr.write(f"{name}: {fields['winners']} in {fields['seconds']} s\n")


if __name__ == "__main__":
    main()

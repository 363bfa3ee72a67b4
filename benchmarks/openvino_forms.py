r"""Graph forms in OpenVINO: INT8 and float of each, against the INT8 graph of one of them.

    python -m benchmarks.openvino_forms --weights W.pth --data FOLDER --image-size 224 \
        --form conv_uncentred results/DATE-openvino-forms-NAME.json

makes every graph by the stages of a build (in the package's cache: a second run has them at once),
evaluates it in OpenVINO against torch, and times all of them in one process: interleaved rounds,
then nine fresh loads in a new order each. `--prepare-only` stops before the timing, which needs an
idle machine for some minutes. With `--weights random` speed alone is compared.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_convnext.build.cpu_pixels import pixels_step
from edge_convnext.build.float_chain import float_steps, fold_step
from edge_convnext.build.inputs import Inputs, prepare_inputs
from edge_convnext.build.int8_chain import int8_lineage
from edge_convnext.build.lineage import Lineage
from edge_convnext.build.runner import Runner
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.files import write_text_atomic
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.progress import untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Images
from edge_convnext.data.batches import image_batches, iter_batches
from edge_convnext.devices.doctor import environment
from edge_convnext.measure.accuracy import predict
from edge_convnext.measure.benchmark import benchmark, judge
from edge_convnext.measure.candidates import Candidate, load_candidate
from edge_convnext.measure.speed import speedup
from edge_convnext.networks.plans import float_plan, plan_for
from edge_convnext.networks.recipe_file import resolve_recipe
from edge_convnext.runtimes.openvino.runner import supports_bf16
from edge_convnext.runtimes.reference import load_reference

_RUNTIME = "openvino"
_BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="atto")
    parser.add_argument("--recipe", help="With the preprocessing that the weights were trained by.")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--image-size", type=int, required=True)
    parser.add_argument("--subset-size", type=int, default=300, help="Calibration images.")
    parser.add_argument("--base", default="conv_moments", help="Form that others are compared to.")
    parser.add_argument("--form", action="append", default=[], help="Repeatable.")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=27)
    parser.add_argument("--most-images", type=int, default=1_000_000, help="Of the evaluation.")
    parser.add_argument("--pixels", action="store_true", help="INT8 graphs of uint8 pixels, too.")
    parser.add_argument("--prepare-only", action="store_true")
    arguments = parser.parse_args()
    recipe = resolve_recipe(
        arguments.recipe,
        {
            "model": arguments.model,
            "load.weights": arguments.weights,
            "data.source": arguments.data,
            "preprocess.image_size": arguments.image_size,
            "quantize.subset_size": arguments.subset_size,
            "benchmark.batches": (arguments.batch,),
            "benchmark.rounds": arguments.rounds,
            "benchmark.threads": arguments.threads,
        },
    )
    made = Lab(recipe, pixels=arguments.pixels)
    for form in dict.fromkeys([arguments.base, *arguments.form]):
        made.add(form)
    rows = made.evaluate(arguments.most_images)
    result = {"created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
              "environment": environment(), "base": arguments.base, "rows": rows}  # fmt: skip
    if not arguments.prepare_only:
        result |= made.time(arguments.base, rows)
    for row in rows:
        print(line(row), flush=True)
    write_text_atomic(arguments.out, json.dumps(result, indent=1) + "\n")


class Lab:
    """Graphs of some forms from one checkpoint, and the images to compare them on."""

    def __init__(self, recipe: Recipe, *, pixels: bool = False) -> None:
        machine = environment()
        cache = Cache(default_cache_folder(os.environ))
        self.recipe, self.pixels = recipe, pixels
        self.runner = Runner(cache, recipe, machine["versions"], untracked)
        self.inputs: Inputs = prepare_inputs(recipe, cache, machine["versions"], untracked)
        assert self.inputs.calibration is not None
        samples = self.inputs.calibration.images.samples
        self.calibration = image_batches(samples, self.inputs.info, None)
        self.samples: Images = image_batches(samples[:32], self.inputs.info, None)
        folded = fold_step(self.runner, self.inputs.weights, self.samples)
        self.weights = folded.of(replace(folded.value, info=self.inputs.info))
        self.hint = "bf16" if supports_bf16() else "f32"
        self.candidates: dict[str, Candidate] = {}

    def add(self, form: str) -> None:
        """Make the float and the INT8 graph of one form."""
        steps = float_steps(
            self.runner, self.weights, form, "fp32", self.samples, self.inputs.weights
        )
        begun = Lineage(float_plan(form, "fp32"), steps)
        plan = replace(plan_for(self.recipe, _RUNTIME), form=form)
        lineage = int8_lineage(
            self.runner, plan, begun, [_RUNTIME], self.calibration, self.samples, None
        )
        graphs = {"int8": lineage.final, "float": begun.final}
        if self.pixels:
            graphs["int8 pixels"] = pixels_step(self.runner, lineage.final, self.samples)
        for kind, graph in graphs.items():
            made = Candidate.of(graph, _RUNTIME, self.hint, may_ship=True)
            self.candidates[f"{form} {kind}"] = replace(made, title=f"{form} {kind}")

    def evaluate(self, most: int) -> list[dict[str, Any]]:
        """Compare every graph with torch, in OpenVINO; speed alone without evaluation images."""
        if self.inputs.evaluation is None:
            return [{"name": name} for name in self.candidates]
        samples = self.inputs.evaluation.samples[:: max(1, len(self.inputs.evaluation) // most)]
        preprocess, channels = self.inputs.info.preprocess, self.inputs.info.in_channels
        images = list(iter_batches(samples, preprocess, _BATCH, channels))
        labels = np.array([sample.label for sample in samples])
        expected = predict(load_reference(self.inputs.weights.value), images)
        rows = []
        for name, candidate in self.candidates.items():
            logits = predict(load_candidate(candidate, _BATCH, None), images)
            rows.append({"name": name, "top1_pct": top1_pct(logits, labels),
                         "top1_drop_pp": top1_pct(expected, labels) - top1_pct(logits, labels),
                         **asdict(compare_logits(expected, logits))})  # fmt: skip
        return rows

    def time(self, base: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Time all graphs in turn, and add each one's ratio to the base's INT8."""
        config, batch = self.recipe.benchmark, self.recipe.benchmark.batches[0]
        images = self.samples.load()[0]
        candidates = list(self.candidates.values())
        chose = benchmark(candidates, images, config, measure_memory=False)
        judged = judge(chose, candidates, images, config)
        for row in rows:
            name = row["name"]
            # How many times faster the base is: latency over the base's.
            ratio = speedup(judged, f"{base} int8", name, batch)
            row |= {"latency_over_base": asdict(ratio),
                    "latency_ms_p50": judged.row(name, batch).latency_ms_p50}  # fmt: skip
        return {"other_load_pct": judged.other_load_pct, "runtime": asdict(judged.runtimes[0])}


def top1_pct(logits: NDArray[np.float32], labels: NDArray[Any]) -> float:
    """Share of images whose largest logit is their label's."""
    return 100 * float((logits.argmax(1) == labels).mean())


def line(row: dict[str, Any]) -> str:
    """One row of the table on the terminal."""
    words = [f"{row['name']:24s}"]
    if "sqnr_db" in row:
        words.append(
            f"top-1 {row['top1_pct']:.2f} agrees {row['agreement_pct']:.2f} % {row['sqnr_db']} dB"
        )
    if ratio := row.get("latency_over_base"):
        low, high = ratio["ci95_lo"] or 0.0, ratio["ci95_hi"] or 0.0
        words.append(
            f"{row['latency_ms_p50']:.3f} ms {ratio['median']:.3f} [{low:.3f}, {high:.3f}]"
        )
    return "  ".join(words)


if __name__ == "__main__":
    main()

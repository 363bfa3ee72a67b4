"""What each ingredient of the INT8 accuracy is worth: equalization, ranges, types, biases.

    python benchmarks/accuracy_ablation.py --weights W.pth --data FOLDER --image-size 64 OUT.json

Every row is a whole quantization of the same float graph with the same calibration images, run
in ONNX Runtime over the same evaluation images.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from edge_convnext.build.float_chain import export_step, fold_step, simplify_step
from edge_convnext.build.inputs import prepare_inputs
from edge_convnext.build.runner import Runner
from edge_convnext.core.artifacts import ActivationType, OnnxModel, PlacementName
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.progress import untracked
from edge_convnext.core.sections import EqualizeConfig, QuantizeConfig
from edge_convnext.data.batches import image_batches, iter_batches
from edge_convnext.devices.doctor import environment
from edge_convnext.measure.accuracy import predict
from edge_convnext.networks.recipe_file import resolve_recipe
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.stages.equalize import equalize
from edge_convnext.stages.quantize import quantize

MINMAX = {"activations_range_estimator": "minmax"}
CORRECTED = {**MINMAX, "disable_bias_correction": False}
# name: (equalize alpha or None, quantize settings, activation type, placement)
VARIANTS: dict[str, tuple[Any, dict[str, Any], ActivationType, PlacementName]] = {
    "plain min-max": (None, MINMAX, "int8", "pointwise"),
    "NNCF's fast bias correction": (None, CORRECTED, "int8", "pointwise"),
    "ranges by reconstruction": (None, {}, "int8", "pointwise"),
    "uint8": (None, MINMAX, "uint8", "pointwise"),
    "equalization, alpha 0.6": (0.6, MINMAX, "int8", "pointwise"),
    "equalization, alpha per layer": ("auto", MINMAX, "int8", "pointwise"),
    "equalization and ranges": ("auto", {}, "int8", "pointwise"),
    "equalization, ranges, uint8": ("auto", {}, "uint8", "pointwise"),
    "equalization and ranges, inner": ("auto", {}, "int8", "inner"),
    "equalization, ranges, uint8, inner": ("auto", {}, "uint8", "inner"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--image-size", type=int, required=True)
    parser.add_argument("--subset-size", type=int, default=300, help="Calibration images.")
    parser.add_argument("--form", action="append")
    parser.add_argument("--only", action="append", help="Variants, by name.")
    arguments = parser.parse_args()
    recipe = resolve_recipe(
        None,
        {
            "load.weights": arguments.weights,
            "data.source": arguments.data,
            "preprocess.image_size": arguments.image_size,
            "quantize.subset_size": arguments.subset_size,
        },
    )
    cache, machine = Cache(default_cache_folder(os.environ)), environment()
    runner = Runner(cache, recipe, machine["versions"], untracked)
    inputs = prepare_inputs(recipe, cache, machine["versions"], untracked)
    assert inputs.calibration is not None
    assert inputs.evaluation is not None
    calibration = image_batches(inputs.calibration.images.samples, inputs.info, None)
    samples = image_batches(inputs.calibration.images.samples[:32], inputs.info, None)
    folded = fold_step(runner, inputs.weights, samples)
    weights = folded.of(replace(folded.value, info=inputs.info))
    batches = calibration.load()
    images = list(iter_batches(inputs.evaluation.samples, inputs.info.preprocess, 64, 3))
    labels = np.array([sample.label for sample in inputs.evaluation.samples])

    def logits(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
        return predict(load_runtime("onnxruntime", path, RuntimeOptions()), images)

    rows = []
    fp32_top1_pct = {}
    for form in arguments.form or ("nhwc", "linear", "conv"):
        exported = export_step(runner, weights, form, "fp32", samples, inputs.weights)
        model = simplify_step(runner, exported, samples).value
        reference = logits(model.path)
        right = reference.argmax(1) == labels
        fp32_top1_pct[form] = 100 * float(right.mean())
        for name in arguments.only or VARIANTS:
            alpha, settings, kind, placement = VARIANTS[name]
            with tempfile.TemporaryDirectory() as folder:
                before: OnnxModel = model
                if alpha is not None:
                    settled = EqualizeConfig(alpha=alpha)
                    before = equalize(model, batches, settled, kind, Path(folder) / "e.onnx")
                config = QuantizeConfig(**settings)
                made = quantize(
                    before, batches, placement, config, Path(folder) / "q.onnx",
                    activation_type=kind,
                )  # fmt: skip
                found = logits(made.path)
            parity = compare_logits(reference, found)
            drop = 100 * float(right.mean() - (found.argmax(1) == labels).mean())
            row = {"form": form, "variant": name, "top1_drop_pp": drop, **asdict(parity)}
            rows.append(row)
            print(
                f"{form:6s} {name:36s} {parity.sqnr_db:6.2f} dB  agreement "
                f"{parity.agreement_pct:6.2f} %  drop {drop:+.2f} pp",
                flush=True,
            )
    result = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "weights": Path(arguments.weights).name,
        "image_size": arguments.image_size,
        "calibration_images": len(inputs.calibration.images.samples),
        "fp32_top1_pct": fp32_top1_pct,
        "versions": machine["versions"],
        "rows": rows,
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

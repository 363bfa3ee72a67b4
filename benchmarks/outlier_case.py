"""A checkpoint that is hard to quantize on purpose: what each means wins back.

    python benchmarks/outlier_case.py --weights W.pth --data FOLDER --image-size 64 OUT.json

Every eighth channel of GRN is made larger in the folded graph, a * (gamma * n + 1), and the
weights that read it smaller by as much: the float function stays, which is checked. One scale
for the whole tensor then leaves the other channels a few steps.
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

import onnx
from onnx import ModelProto

from edge_convnext.build.float_chain import export_step, fold_step
from edge_convnext.build.inputs import prepare_inputs
from edge_convnext.build.runner import Runner
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.progress import untracked
from edge_convnext.core.sections import EqualizeConfig, QuantizeConfig
from edge_convnext.data.batches import image_batches, iter_batches
from edge_convnext.devices.doctor import environment
from edge_convnext.graph.qdq import drop_unread_constants
from edge_convnext.measure.accuracy import predict
from edge_convnext.networks.recipe_file import resolve_recipe
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.stages.equalize import apply_factors, equalize, find_sites
from edge_convnext.stages.keep_float import find_fallback, keep_float
from edge_convnext.stages.quantize import quantize
from edge_convnext.stages.recover import recover
from edge_convnext.stages.sensitivity import rank_operations

_FORM = "nhwc"
_EVERY = 8  # channels
_PLAIN = QuantizeConfig(activations_range_estimator="minmax")


def inject_outliers(proto: ModelProto, strength: float) -> None:
    """Enlarge every eighth channel of every GRN; the weights behind take it back."""
    for site in find_sites(proto):
        if "pwconv2" in site.reader:
            factors = np.ones(len(site.weight), np.float32)
            factors[::_EVERY] = 1.0 / strength
            apply_factors(proto, site, factors)
    drop_unread_constants(proto)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--image-size", type=int, required=True)
    parser.add_argument("--strength", type=float, default=15.0)
    parser.add_argument("--max-drop", type=float, default=0.5)
    arguments = parser.parse_args()
    recipe = resolve_recipe(
        None,
        {
            "load.weights": arguments.weights,
            "data.source": arguments.data,
            "preprocess.image_size": arguments.image_size,
        },
    )
    cache, machine = Cache(default_cache_folder(os.environ)), environment()
    runner = Runner(cache, recipe, machine["versions"], untracked)
    inputs = prepare_inputs(recipe, cache, machine["versions"], untracked)
    assert inputs.calibration is not None
    assert inputs.evaluation is not None
    assert inputs.splits is not None
    assert inputs.splits.train is not None
    batches = image_batches(inputs.calibration.images.samples, inputs.info, None).load()
    samples = image_batches(inputs.calibration.images.samples[:32], inputs.info, None)
    folded = fold_step(runner, inputs.weights, samples)
    weights = folded.of(replace(folded.value, info=inputs.info))
    exported = export_step(runner, weights, _FORM, "fp32", samples, inputs.weights)
    images = list(iter_batches(inputs.evaluation.samples, inputs.info.preprocess, 64, 3))
    labels = np.array([sample.label for sample in inputs.evaluation.samples])

    def logits(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
        return predict(load_runtime("onnxruntime", path, RuntimeOptions()), images)

    reference = logits(exported.value.path)
    top1 = float((reference.argmax(1) == labels).mean())
    rows: list[dict[str, Any]] = []

    def report(name: str, path: Path, **more: Any) -> float:
        found = logits(path)
        parity = compare_logits(reference, found)
        drop = 100 * (top1 - float((found.argmax(1) == labels).mean()))
        rows.append({"variant": name, "top1_drop_pp": drop, **asdict(parity), **more})
        print(
            f"{name:40s} {parity.sqnr_db or 999:6.2f} dB  agreement {parity.agreement_pct:6.2f} %"
            f"  drop {drop:+.2f} pp",
            flush=True,
        )
        return drop

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        proto = onnx.load(str(exported.value.path))
        inject_outliers(proto, arguments.strength)
        onnx.save(proto, str(folder / "hard.onnx"))
        hard = OnnxModel(folder / "hard.onnx", "fp32", _FORM)
        report("float, with outliers", hard.path)
        plain = quantize(hard, batches, "pointwise", _PLAIN, folder / "plain.onnx")
        report("plain PTQ", plain.path)
        equal = equalize(hard, batches, EqualizeConfig(), "int8", folder / "equal.onnx")
        better = quantize(equal, batches, "pointwise", QuantizeConfig(), folder / "better.onnx")
        report("equalization and ranges", better.path)
        pool = inputs.splits.train.samples
        pool = pool[:: max(1, len(pool) // recipe.recover.images)][: recipe.recover.images]
        training = np.concatenate(list(iter_batches(pool, inputs.info.preprocess, 64, 3)))
        for label, start, float_graph in (
            ("plain PTQ, recovered", plain, hard),
            ("equalization, ranges, recovered", better, equal),
        ):
            found = recover(start, float_graph, training, recipe.recover, folder / "recovered.onnx")
            report(label, found.model.path, kept=found.kept, steps=found.steps)
        ranking = rank_operations(plain.path, hard.path, batches[:8])
        quantized, original = onnx.load(str(plain.path)), proto

        def holds(names: Any) -> bool:
            onnx.save(keep_float(quantized, original, names), str(folder / "fallback.onnx"))
            found = logits(folder / "fallback.onnx")
            drop = 100 * (top1 - float((found.argmax(1) == labels).mean()))
            return drop <= arguments.max_drop

        kept = find_fallback([one.name for one in ranking][:-1], holds)
        if kept is not None:
            onnx.save(keep_float(quantized, original, kept), str(folder / "fallback.onnx"))
            report(f"plain PTQ, {len(kept)} in float", folder / "fallback.onnx", names=list(kept))
    result = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "weights": Path(arguments.weights).name,
        "image_size": arguments.image_size,
        "strength": arguments.strength,
        "n_images": len(labels),
        "fp32_top1_pct": 100 * top1,
        "recover": recipe.recover.model_dump(),
        "environment": machine,
        "rows": rows,
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

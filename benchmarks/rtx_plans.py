"""What TensorRT for RTX compiles each graph form to: kernels and bytes, FP16 and INT8.

    python benchmarks/rtx_plans.py [--models atto pico] [--batches 1 8]

builds an engine per model, batch, form and placement, ahead of time and without a GPU, and writes
`benchmarks/results/<date>-rtx-plans.json` and `.md`. Weights are random, which changes no plan.
The INT8 graphs are calibrated on the demo's digits, and their logits compared in ONNX Runtime with
those of the float graph they were made from, on images that did not calibrate. Nothing is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from edge_convnext.build.inputs import prepare_inputs
from edge_convnext.core.artifacts import FormName, OnnxModel, PlacementName, Weights
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.progress import untracked
from edge_convnext.core.sections import EngineConfig
from edge_convnext.data.batches import image_batches
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.convnext.form_names import ONE_IMAGE_FORMS
from edge_convnext.networks.recipe_file import resolve_recipe
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.runtimes.tensorrt.rtx_builder import build_rtx_engine
from edge_convnext.stages.export import export_onnx
from edge_convnext.stages.fold import fold_weights
from edge_convnext.stages.place_qdq import place_qdq
from edge_convnext.stages.simplify import simplify
from edge_convnext.stages.to_float16 import halve_body

RESULTS = Path(__file__).parent / "results"
IMAGE_SIZE = 224
_IMAGES = 32  # calibrate, and as many judge
# Form, and what of it is INT8.
CANDIDATES: tuple[tuple[FormName, PlacementName | None], ...] = (
    ("raw", None),
    ("linear", None),
    ("mixed", None),
    ("expand", None),
    ("weights_expand", None),
    ("product_expand", None),
    ("linear", "pointwise"),
    ("linear", "blocks"),
    ("mixed", "blocks"),
    ("weights_mixed", "late_blocks"),
    ("product_mixed", "late_blocks"),
    ("late", "blocks"),
    ("late_mixed", "blocks"),
    ("late_product_mixed", "blocks"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--models", nargs="+", default=["atto", "pico"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--capability", default="8.6")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    machine = environment()
    rows: list[dict[str, Any]] = []
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as scratch:
            rows += list_rows(model, arguments.batches, arguments.capability, Path(scratch))
    date = datetime.now(timezone.utc).date().isoformat()
    result = {"date": date, "image_size": IMAGE_SIZE, "rows": rows, "environment": machine}
    arguments.out.mkdir(parents=True, exist_ok=True)
    target = arguments.out / f"{date}-rtx-plans.json"
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    target.with_suffix(".md").write_text(render(rows, arguments.capability), encoding="utf-8")
    sys.stderr.write(f"{target}\n")


def list_rows(
    model: str, batches: Sequence[int], capability: str, folder: Path
) -> list[dict[str, Any]]:
    """Build every candidate of one model."""
    recipe = resolve_recipe(
        None,
        {"model": model, "load.weights": "random", "preprocess.image_size": IMAGE_SIZE},
    )
    versions = environment()["versions"]
    cache = Cache(default_cache_folder(os.environ))
    inputs = prepare_inputs(recipe, cache, versions, untracked)
    assert inputs.calibration is not None
    samples = inputs.calibration.images.samples[: 2 * _IMAGES]
    images = np.concatenate(image_batches(samples, inputs.info, None).load())
    raw = replace(inputs.weights.value, info=inputs.info)
    folded = fold_weights(raw, folder / "folded.safetensors")
    rows = []
    for batch in batches:
        config = recipe.export.model_copy(update={"batch": batch})
        floats: dict[FormName, OnnxModel] = {}
        for form, placement in CANDIDATES:
            if form in ONE_IMAGE_FORMS and batch != 1:
                continue
            if form not in floats:
                weights = raw if form == "raw" else folded
                floats[form] = _export(weights, form, config, recipe, images[:batch], folder)
            row = build_row(floats[form], placement, images, capability, folder)
            rows.append({"model": model, "batch": batch, "form": form, **row})
            sys.stderr.write(f"{rows[-1]}\n")
    return rows


def _export(
    weights: Weights, form: FormName, config: Any, recipe: Any, images: Any, folder: Path
) -> OnnxModel:
    exported = export_onnx(weights, form, "fp32", config, folder / f"{form}.{config.batch}.onnx")
    outcome = simplify(
        exported, images, recipe.simplify, folder / f"{form}.{config.batch}.simple.onnx"
    )
    if outcome.reason is not None:
        raise SystemExit(f"{exported.path.name} was not simplified: {outcome.reason}")
    return outcome.model


def build_row(
    model: OnnxModel,
    placement: PlacementName | None,
    images: np.ndarray[Any, np.dtype[np.float32]],
    capability: str,
    folder: Path,
) -> dict[str, Any]:
    """Quantize where that is asked for, give it a float16 body, and read its engine's kernels."""
    made, parity = model, None
    if placement is not None:
        made = place_qdq(model, [images[:_IMAGES]], placement, folder / "int8.onnx")
        shown = images[_IMAGES:]
        parity = compare_logits(_infer(model.path, shown), _infer(made.path, shown))
    half = halve_body(made, folder / "half.onnx", "float16")
    config = EngineConfig(compute_capabilities=(capability,))
    engine = build_rtx_engine(half, config, folder / "model.engine")
    return {
        "placement": placement,
        "kernels": engine.kernels,
        "int8_kernels": engine.int8_kernels,
        "activation_bytes": engine.activation_bytes,
        "weight_bytes": engine.weight_bytes,
        "engine_bytes": engine.path.stat().st_size,
        "sqnr_db": parity.sqnr_db if parity else None,
    }


def _infer(path: Path, images: Any) -> Any:
    runtime = load_runtime("onnxruntime", path, RuntimeOptions())
    batch = runtime.describe().batch or len(images)
    return np.concatenate(
        [runtime.infer(images[at : at + batch]) for at in range(0, len(images), batch)]
    )


def render(rows: Sequence[Mapping[str, Any]], capability: str) -> str:
    """The rows as a Markdown table."""
    head = ["model", "batch", "form", "INT8", "kernels", "INT8 kernels", "activations MB"]
    head += ["weights MB", "engine MB", "SQNR dB"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        sqnr = f"{row['sqnr_db']:.1f}" if row["sqnr_db"] is not None else "-"
        sizes = (row["activation_bytes"], row["weight_bytes"], row["engine_bytes"])
        cells = [row["model"], row["batch"], row["form"], row["placement"] or "-"]
        cells += [row["kernels"], row["int8_kernels"], *(f"{size / 1e6:.1f}" for size in sizes)]
        lines.append("| " + " | ".join(map(str, [*cells, sqnr])) + " |")
    note = (
        f"\n{IMAGE_SIZE} px, compute capability {capability}, float16 images and logits. Bytes are "
        "those of every tensor that a kernel reads or writes, caches left aside. Nothing was "
        "timed: there was no GPU. SQNR: INT8 against its float graph, in ONNX Runtime.\n"
    )
    return "\n".join(lines) + "\n" + note


if __name__ == "__main__":
    main()

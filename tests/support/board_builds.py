"""A finished build of a tiny network and its bundle, without the chain that takes its time."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.files import sha256_file
from edge_convnext.core.sections import DataConfig
from edge_convnext.data.batches import iter_batches
from edge_convnext.data.splits import load_splits
from edge_convnext.devices.bundle.write import write_bundle
from edge_convnext.measure.accuracy import (
    Predictions,
    compare_predictions,
    measure_accuracy,
    write_predictions_csv,
)
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.contract import Report
from edge_convnext.report.described import FileReport
from edge_convnext.runtimes.metadata import read_metadata
from support.builds import write_images
from support.example_report import example_fields, without_measurements
from support.gate_builds import write_report
from support.small_exports import SIZE, TINY, export, infer, place_export

CLASSES = ("ant", "b|ee", "crème", "dog", "emu")
PER_CLASS = 2
QUICK = {"batches": [1], "rounds": 6, "min_round_ms": 1, "warmup": 1}
assert len(CLASSES) == TINY.num_classes


def build_tiny(root: Path, name: str = "build", seed: int = 0, gpu: bool = False) -> Path:
    """Export, quantize and report; returns the folder, as `edge-convnext build` leaves it.

    With `gpu` the same graphs lie there under the names of those for TensorRT as well.
    """
    folder = root / name
    folder.mkdir()
    images = root / "images"
    if not images.exists():
        write_images(images, {f"val/{label}": PER_CLASS for label in CLASSES})
    model = OnnxModel(folder / "conv.onnx", "fp32", "conv")
    model.path.write_bytes(_exported(seed))
    metadata = read_metadata(model.path)
    preprocess = metadata.info.preprocess
    samples = load_splits(images, DataConfig(), 0).val.samples
    batch = next(iter_batches(samples, preprocess, len(samples)))
    quantized = place_export(model, [batch[:4]])
    model.path.rename(folder / "model.fp32.onnx")
    quantized.path.rename(folder / "model.int8.onnx")
    if gpu:
        (folder / "gpu").mkdir()
        for source, copy in (("fp32", "fp16.b1"), ("int8", "int8.b1"), ("fp32", "fp16.b2")):
            shutil.copy(folder / f"model.{source}.onnx", folder / "gpu" / f"{copy}.onnx")
    labels = np.array([sample.label for sample in samples], dtype=np.int64)
    hashes = tuple(sample.sha256 for sample in samples)
    found = {
        precision: Predictions(infer(folder / f"model.{precision}.onnx", batch), labels, hashes)
        for precision in ("fp32", "int8")
    }
    write_predictions_csv(folder / "predictions.csv", found, CLASSES)
    write_report(_report(folder, images, found, preprocess), folder / "report.json")
    return folder


@cache
def _exported(seed: int) -> bytes:
    """The network's graph: torch's exporter takes seconds, and many tests want the same."""
    with tempfile.TemporaryDirectory() as folder:
        return export(random_state(TINY, seed), "conv", Path(folder)).path.read_bytes()


def _report(folder, images, found, preprocess) -> Report:
    recipe = make_recipe(
        {
            "data": {"source": str(images)},
            "preprocess": {"image_size": SIZE, "mean": preprocess.mean, "std": preprocess.std},
            "benchmark": QUICK,
        }
    ).model_dump(mode="json")
    recipe["preprocess"] |= {"resize": "squash", "crop_pct": 1.0, "interpolation": "bilinear"}
    accuracy = {}
    for precision, predictions in found.items():
        one = measure_accuracy(predictions, CLASSES)
        classes = {
            label: {"n": value.n, "top1_pct": value.top1_pct}
            for label, value in one.per_class.items()
        }
        accuracy[precision] = {"top1_pct": one.top1_pct, "top5_pct": None, "per_class": classes}
    compared = asdict(compare_predictions(found["fp32"], found["int8"]))
    model = {
        "name": "convnextv2_atto",
        "params": 10_000,
        "image_size": SIZE,
        "num_classes": len(CLASSES),
        "classes": CLASSES,
        "weights": {"source": "random", "sha256": "0" * 64, "licence": None},
    }
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return Report.model_validate(
        example_fields(
            **{
                **without_measurements("benchmark", reason="not wanted"),
                "model": model,
                "recipe": recipe,
                "accuracy": {**compared, **accuracy},
                "folder": str(folder),
                "outputs": [FileReport.of(path, folder).model_dump() for path in files],
            }
        )
    )


def bundle_tiny(root: Path, **options: str) -> Path:
    """That build, bundled with its images."""
    folder = root / "build"
    write_bundle(folder if folder.exists() else build_tiny(root), root / "tiny.ecb", **options)
    assert sha256_file(root / "tiny.ecb")
    return root / "tiny.ecb"

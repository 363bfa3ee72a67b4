"""A network of rectangular images, from a checkpoint to what is deployed: no side is swapped."""

from __future__ import annotations

import csv
import json

import numpy as np
import onnx
import pytest
from PIL import Image
from support.builds import write_checkpoint, write_images
from support.built import check_report

pytest.importorskip("torch", reason="the build extra is not installed")

import edge_convnext
from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.sections import BenchmarkConfig, DataConfig, ExportConfig
from edge_convnext.devices.bench import BoardSettings, bench_bundle
from edge_convnext.devices.bundle.write import write_bundle
from edge_convnext.measure.built_models import evaluate_model, race_models
from edge_convnext.networks.convnext import sizes as architecture
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.family import FAMILY
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.export import export_onnx

HEIGHT, WIDTH = 64, 96
CLASSES = ("ant", "bee", "cat")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
QUICK = {"batches": [1], "rounds": 6, "min_round_ms": 1, "warmup": 1}
SMALL = ((1, 1, 1, 1), (8, 16, 24, 32))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A build at 64 x 96 of a small network, and its images: 40 high and 48 wide."""
    folder = tmp_path_factory.mktemp("rectangle")
    counts = {f"{side}/{name}": 4 for side in ("train", "val") for name in CLASSES}
    write_images(folder / "images", counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(architecture.SIZES, "atto", SMALL)
        patch.setattr(FAMILY, "float_forms", ("raw",))
        weights = write_checkpoint(folder / "weights.pth", len(CLASSES))
        fields = {
            "load": {"weights": str(weights)},
            "data": {"source": str(folder / "images")},
            "preprocess": {"image_size": [HEIGHT, WIDTH]},
            "quantize": {"subset_size": 6},
            "simplify": {"enabled": False},
            "targets": ["cpu"],
            "runtime": "onnxruntime",
            "benchmark": QUICK,
        }
        edge_convnext.build(make_recipe(fields), folder / "out", cache=Cache(folder / "cache"))
    return folder


@pytest.fixture(scope="module")
def report(root):
    return edge_convnext.Report.read(root / "out" / "report.json")


def read_as_pillow_does(path):
    """Squashed to 96 across and 64 down, and normalised: float64[1, 3, 64, 96]."""
    image = Image.open(path).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    return ((np.asarray(image) / 255 - MEAN) / STD).transpose(2, 0, 1)[None]


def rows(root):
    with (root / "out" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def images_of(root):
    return {sha256_file(path): path for path in (root / "images" / "val").rglob("*.png")}


def test_the_report_says_the_size_in_numbers_and_in_words(root, report):
    check_report(report, root / "out")
    stored = json.loads((root / "out" / "report.json").read_text())
    assert stored["model"]["image_size"] == [HEIGHT, WIDTH] == [*report.model.image_size]
    assert stored["recipe"]["preprocess"]["image_size"] == [HEIGHT, WIDTH]
    text = (root / "out" / "report.md").read_text()
    assert "64 x 96 px" in text
    assert "| image\\_size | 64 x 96 |" in text


def test_the_graphs_take_images_of_that_height_and_width(root):
    for name in ("model.fp32.onnx", "model.int8.onnx"):
        (images,) = onnx.load(root / "out" / name).graph.input
        sizes = [one.dim_value for one in images.type.tensor_type.shape.dim]
        assert sizes[1:] == [3, HEIGHT, WIDTH]


def test_the_accuracy_is_that_of_images_read_elsewhere(root, report):
    import onnxruntime

    session = onnxruntime.InferenceSession(root / "out" / "model.fp32.onnx")
    images, right = images_of(root), 0
    assert len(rows(root)) == len(images) == 12
    for row in rows(root):
        values = read_as_pillow_does(images[row["sha256"]]).astype(np.float32)
        (logits,) = session.run(None, {session.get_inputs()[0].name: values})
        assert CLASSES[int(logits.argmax())] == row["fp32_top1"]
        right += row["fp32_top1"] == row["label"]
    assert report.accuracy.fp32.top1_pct == pytest.approx(100 * right / 12)
    told = evaluate_model(root / "out" / "model.fp32.onnx", DataConfig(source=str(root / "images")))
    assert told.accuracy.top1_pct == pytest.approx(100 * right / 12)


def test_the_built_model_predicts_what_the_build_counted(root):
    model = edge_convnext.load_model(root / "out" / "model.fp32.onnx")
    images = images_of(root)
    for row in rows(root):
        (prediction,) = model.predict([images[row["sha256"]]])
        assert prediction.label == row["fp32_top1"]


@pytest.mark.parametrize("kind", ["tensors", "none"])
def test_a_board_measures_the_same(root, report, tmp_path, kind):
    manifest = write_bundle(root / "out", tmp_path / "a.ecb", kind)
    assert manifest.preprocess.image_size == manifest.model.image_size == (HEIGHT, WIDTH)
    settings = BoardSettings(runtimes=("onnxruntime",), rounds=6)
    board = bench_bundle(tmp_path / "a.ecb", tmp_path / "board", settings)
    assert board.model.image_size == (HEIGHT, WIDTH)
    if kind == "tensors":
        assert board.accuracy.fp32.top1_pct == report.accuracy.fp32.top1_pct


def test_models_of_turned_sizes_do_not_race(tmp_path):
    shape = Architecture("convnextv2_atto", 2, *SMALL, len(CLASSES))
    paths = []
    for size in ((32, 64), (64, 32)):
        info = ModelInfo(shape.name, 3, 3, CLASSES, Preprocess(size), "w.pth", "0" * 64, None)
        path = tmp_path / f"{size[0]}.safetensors"
        weights = save_weights(random_state(shape, 0), shape, info, path)
        paths.append(path.with_suffix(".onnx"))
        export_onnx(weights, "raw", "fp32", ExportConfig(), paths[-1])
    config = BenchmarkConfig(**QUICK)
    (row,) = race_models(paths[:1], "onnxruntime", config).rows
    assert row.batch == 1
    with pytest.raises(ArtifactError, match="different input sizes"):
        race_models(paths, "onnxruntime", config)

"""A network of a family that has no list of models goes through a whole build."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from support import open_family
from support.builds import quick_fields, write_images
from support.built import check_report, statuses

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

import edge_convnext
from edge_convnext.core.artifacts import METADATA_KEY, ModelInfo, Preprocess
from edge_convnext.core.cache import Cache
from edge_convnext.core.sections import ExportConfig
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.networks.weights import save_weights
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.lint import lint
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.runtimes.reference import load_reference
from edge_convnext.stages.export import export_onnx

CLASSES = ("ant", "bee")
SHAPE = open_family.OpenShape(open_family.MODEL, 2)
INFO = ModelInfo(SHAPE.name, 2, 3, CLASSES, Preprocess(image_size=32), "x", "0" * 64, None)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("open")
    counts = {f"{side}/{name}": 5 for side in ("train", "val") for name in CLASSES}
    write_images(folder / "images", counts)
    torch.save({"model": open_family.FAMILY.draw(SHAPE, 0)}, folder / "weights.pth")
    with pytest.MonkeyPatch.context() as context:
        open_family.install(context)
        yield folder


def make(root, **fields):
    return make_recipe(
        {**quick_fields(root, open_family.MODEL), "runtime": "onnxruntime", **fields}
    )


@pytest.mark.parametrize("form", ["raw", "linear", "conv"])
@pytest.mark.parametrize("batch", ["dynamic", 2])
@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-5), ("fp16", 1e-2)])
def test_a_graph_computes_what_the_module_does(root, tmp_path, form, batch, precision, bound):
    state = open_family.FAMILY.draw(SHAPE, 0)
    weights = save_weights(state, SHAPE, INFO, tmp_path / "w.safetensors")
    config = ExportConfig(batch=batch)
    made = export_onnx(weights, form, precision, config, tmp_path / "g.onnx")
    assert (made.precision, made.form) == (precision, form)
    images = np.random.default_rng(0).standard_normal((3, 3, 32, 32)).astype(np.float32)
    expected = load_reference(weights).infer(images)
    found = load_runtime("onnxruntime", made.path, RuntimeOptions()).infer(images)
    assert np.abs(found - expected).max() <= bound * np.abs(expected).max()
    proto = onnx.load(made.path)
    size = proto.graph.input[0].type.tensor_type.shape.dim[0]
    assert (size.dim_value or "dynamic") == batch
    stated = json.loads(next(e.value for e in proto.metadata_props if e.key == METADATA_KEY))
    assert (stated["model"], stated["precision"]) == (SHAPE.name, precision)
    assert stated["form"] == form
    kinds = [node.op_type for node in proto.graph.node]
    assert kinds.count("MatMul") == (1 if form == "linear" else 0)
    assert lint(made.path, "onnxruntime") == lint(made.path, "openvino") == ()
    again = export_onnx(weights, form, precision, config, tmp_path / "again.onnx")
    assert again.path.read_bytes() == made.path.read_bytes()


def test_a_build_goes_from_the_checkpoint_to_a_verdict_and_is_read_without_the_module(root):
    report = edge_convnext.build(make(root), root / "out", cache=Cache(root / "cache"))
    check_report(report, root / "out")
    assert (report.model.name, report.model.params) == (SHAPE.name, SHAPE.count_params())
    found = statuses(report)
    done = ("load", "export", "simplify", "quantize", "evaluate", "benchmark")
    assert {name: found[name] for name in done} == dict.fromkeys(done, "done")
    assert found["fold"] == "skipped"
    open_family.CALLS.clear()
    model = edge_convnext.load_model(root / "out" / "model.int8.onnx")
    assert len(model.predict([root / "images/val/ant/0.png"])) == 1
    assert open_family.CALLS == []


def test_a_second_build_makes_nothing_anew(root):
    again = edge_convnext.build(make(root), root / "again", cache=Cache(root / "cache"))
    made = [name for name, status in statuses(again).items() if status == "done"]
    assert made == ["benchmark"]


def test_a_build_in_a_stated_form_races_ways_to_quantize_that_form(root):
    stated = make(root, export={"form": "linear"})
    report = edge_convnext.build(stated, root / "linear", cache=Cache(root / "cache"))
    check_report(report, root / "linear")
    (row,) = [row for row in report.benchmark.rows if row.precision == "int8"]
    assert row.form == "linear"
    assert report.recipe["plans"]["onnxruntime"]["form"] == "linear"
    floats = {row.form for row in report.benchmark.rows if row.precision == "fp32"}
    assert floats == {"raw", "linear"}
    proto = onnx.load(root / "linear" / "model.int8.onnx")
    (product,) = [node for node in proto.graph.node if node.op_type == "MatMul"]
    assert product.name == "4/MatMul"
    assert len(edge_convnext.load_model(root / "linear" / "model.int8.onnx").predict(
        [root / "images/val/ant/0.png"])) == 1  # fmt: skip

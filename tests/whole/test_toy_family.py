"""A network family that is one folder and one line of a table goes through a whole build."""

from __future__ import annotations

import pytest
from support import toy_family
from support.builds import write_images
from support.built import check_report, statuses

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

import edge_convnext
from edge_convnext.build.tuning.space import list_plans
from edge_convnext.build.tuning.tune import tune
from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import LoadError
from edge_convnext.data.splits import load_splits
from edge_convnext.measure.built_models import evaluate_model, profile_models
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.networks.training.train import train

CLASSES = ("ant", "bee")
QUICK = {"batches": [1], "rounds": 1, "min_round_ms": 1, "warmup": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    counts = {f"{side}/{name}": 5 for side in ("train", "val") for name in CLASSES}
    write_images(folder / "images", counts)
    torch.save(toy_family.FAMILY.draw(toy_family.ToyShape(2), 0), folder / "weights.pth")
    with pytest.MonkeyPatch.context() as context:
        toy_family.install(context)
        yield folder


def make(root, **fields):
    return make_recipe(
        {
            "model": "net",
            "load": {"weights": str(root / "weights.pth")},
            "data": {"source": str(root / "images")},
            "preprocess": {"image_size": 32},
            "quantize": {"subset_size": 6},
            "evaluate": {"allow_bad_model": True, "max_drop_pp": 100.0},
            "benchmark": QUICK,
            "targets": ["cpu", "tensorrt"],
            "runtime": "onnxruntime",
            **fields,
        }
    )


@pytest.fixture(scope="module")
def report(root):
    return edge_convnext.build(make(root), root / "out", cache=Cache(root / "cache"))


def test_every_stage_says_what_it_did_or_why_it_did_nothing(root, report):
    check_report(report, root / "out")
    assert report.model.name == "toy_net"
    assert report.model.params == toy_family.ToyShape(2).count_params()
    found = statuses(report)
    done = ("load", "export", "simplify", "equalize", "quantize", "typed", "evaluate", "benchmark")
    assert {name: found[name] for name in done} == dict.fromkeys(done, "done")
    reasons = {stage.name: stage.reason for stage in report.stages if found[stage.name] != "done"}
    assert reasons["fold"] == "Toy has nothing to fold"
    assert found["fold"] == "skipped"
    assert reasons["lower"] == "no plan is for ONNX Runtime alone"


def test_there_is_one_form_and_a_placement_by_type_of_operation(report):
    rows = report.benchmark.rows
    assert {row.form for row in rows} == {"raw"}
    (int8,) = [row for row in rows if row.precision == "int8"]
    assert int8.placement == "products"
    quantize = next(stage for stage in report.stages if stage.name == "quantize")
    assert {one.quantized_ops for one in quantize.variants} == {3}
    assert {one.placement for one in quantize.variants} == {"products"}


def test_the_built_model_is_run_measured_and_taken_apart_by_its_parts(root, report):
    path = root / "out" / "model.int8.onnx"
    assert edge_convnext.load_model(path).predict([root / "images/val/ant/0.png"])
    recipe = make(root)
    assert evaluate_model(path, recipe.data, runtime="onnxruntime").accuracy.n_images == 10
    (profile,) = profile_models([path], "onnxruntime", (1,), rounds=1)
    assert {group.part for group in profile.groups} >= {"convolution", "classifier"}


def test_a_second_build_makes_nothing_anew(root, report):
    again = edge_convnext.build(make(root), root / "again", cache=Cache(root / "cache"))
    cached = [name for name, status in statuses(again).items() if status == "done"]
    assert cached == ["benchmark"]


def test_a_tune_has_its_plans_to_try(root):
    plans, _ = list_plans(toy_family.FAMILY, "onnxruntime", 20)
    assert {(plan.form, plan.format) for plan in plans} == {("raw", "qdq")}
    assert {plan.placement for plan in plans} == {"convolutions", "products"}


def test_a_tune_finds_a_plan_of_it(root):
    result = tune(make(root), "quick", Cache(root / "cache"))
    assert result.winners["onnxruntime"].form == "raw"


def test_it_can_be_trained(root, tmp_path):
    recipe = make(root)
    splits = load_splits(root / "images", recipe.data, 0, None)
    config = recipe.train.model_copy(update={"epochs": 1, "batch": 4, "warmup_epochs": 0})
    result = train("net", splits, Preprocess(image_size=32), config, tmp_path / "w.safetensors")
    weights = open_weights(result.path)
    assert (weights.info.model, weights.architecture.family) == ("toy_net", "toy")


def test_weights_of_another_family_are_refused(root):
    from support.builds import write_checkpoint

    write_checkpoint(root / "other.pth", 2)
    recipe = make(root, load={"weights": str(root / "other.pth")})
    with pytest.raises(LoadError, match="no toy"):
        edge_convnext.build(recipe, root / "none", cache=Cache(root / "cache"))
    with pytest.raises(LoadError, match="no weights of toy_net are known on the hub"):
        edge_convnext.build(
            make(root, load={"weights": "in1k"}), root / "none", cache=Cache(root / "cache")
        )

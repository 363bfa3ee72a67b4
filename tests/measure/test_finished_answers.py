"""`eval` of a finished model tells what it read, and warns where a figure means nothing."""

import json
import sys

import pytest
from support.known_models import draw_images

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

from edge_convnext.cli import main
from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.sections import ExportConfig
from edge_convnext.measure.finished_answers import prepare_as
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.export import export_onnx

CLASSES = ("ant", "bee", "cat")
SHAPE = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 16, 24, 32), len(CLASSES))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that answers `bee` to everything, and 60 images."""
    root = tmp_path_factory.mktemp("told")
    state = random_state(SHAPE, 0)
    state["head.fc.bias"] = torch.tensor([0.0, 1e4, 0.0])
    info = ModelInfo("convnextv2_atto", 3, 3, CLASSES, Preprocess(32), "w.pth", "0" * 64, None)
    weights = save_weights(state, SHAPE, info, root / "weights.safetensors")
    export_onnx(weights, "raw", "fp32", ExportConfig(), root / "model.onnx")
    draw_images(root / "data", {f"val/{name}": (20, place) for place, name in enumerate(CLASSES)})
    return root


@pytest.fixture
def evaluate(folder, monkeypatch, capfd, tmp_path):
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", str(tmp_path / "cache"))

    def run(*flags):
        line = ["edge-convnext", "eval", folder / "model.onnx", "--data", folder / "data"]
        monkeypatch.setattr(sys, "argv", [*map(str, line), "--runtime", "onnxruntime", *flags])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capfd.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    return run


def test_eval_tells_where_each_setting_is_from_and_warns_of_one_answer(evaluate):
    code, out, err = evaluate("--mean", "0.5")
    assert code == 0
    assert "top-1 33.33 % on 60 images" in out
    lines = err.splitlines()
    assert "what I read" in lines
    assert "  classes       3: ant, bee, cat             checkpoint (model.onnx: metadata)" in lines
    assert "  mean          0.5, 0.5, 0.5                --mean" in lines
    assert "mean: checkpoint (model.onnx: metadata) says 0.485, 0.456, 0.406" in " ".join(
        " ".join(lines).split()
    )
    assert lines[-1] == (
        "warning: model.onnx: gives the class 'bee' to each of 60 evaluation images"
    )


def test_eval_in_json_has_the_warning_and_says_nothing_else(evaluate):
    code, out, err = evaluate("--json")
    assert (code, err) == (0, "")
    (note,) = json.loads(out)["notes"]
    assert "gives the class 'bee'" in note
    told = evaluate("--quiet")[2]  # a warning is no note: the figure is none of a good model
    assert told.startswith("warning: ")
    assert told.count("\n") == 1


def test_another_size_is_refused_in_words_with_the_height_first(tmp_path):
    asked = make_recipe({"preprocess": {"image_size": [96, 64]}})
    with pytest.raises(RecipeError, match="is for 64 x 96 pixels; build it again for others"):
        prepare_as(tmp_path / "model.onnx", Preprocess((64, 96)), asked)
    same = make_recipe({"preprocess": {"image_size": [64, 96], "crop_pct": 0.9,
                                       "resize": "shortest"}})  # fmt: skip
    own = Preprocess((64, 96))
    assert prepare_as(tmp_path / "model.onnx", own, same).image_size == (64, 96)

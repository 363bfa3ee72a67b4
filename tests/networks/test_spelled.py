import json
import sys

import numpy as np
import pytest

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import RecipeError
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.networks.spelled import Spelled, find_stated_model, settle_model


@pytest.mark.parametrize(
    ("name", "weights", "model", "becomes"),
    [
        ("timm:convnextv2_atto", "w.pth", "convnextv2_atto", "w.pth"),
        ("timm:convnextv2_atto", "timm", "convnextv2_atto", "in1k"),
        ("timm:convnextv2_atto", "timm@abc", "convnextv2_atto", "in1k@abc"),
        ("timm:convnext_tiny.in12k_ft_in1k", "timm", "convnextv1_tiny",
         "hf:timm/convnext_tiny.in12k_ft_in1k"),
        ("hf:facebook/convnextv2-atto-1k-224", None, "convnextv2_atto",
         "hf:facebook/convnextv2-atto-1k-224"),
    ],
)  # fmt: skip
def test_a_convnext_is_built_by_its_own_family_and_that_is_told(name, weights, model, becomes):
    found = settle_model(name, weights)
    assert (found.model, found.weights) == (model, becomes)
    assert found.note == f"{name} is built as {model}, a network of this project's own (ConvNeXt)"


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("timm:resnet18", None), ("timm:convnext_atto_ols", "timm"), ("timm:atto", None),
        ("atto", "w.pth"), ("module:a.b:c", None),
    ],
)  # fmt: skip
def test_other_names_stay_where_they_are(name, weights):
    found = settle_model(name, weights)
    assert found == Spelled("convnextv2_atto" if name == "atto" else name, weights)
    assert "timm" not in sys.modules or name  # nothing is imported for it


def test_a_model_of_transformers_brings_its_own_weights(tmp_path):
    assert settle_model("hf:owner/name", None).weights == "hf:owner/name"
    assert settle_model("hf:owner/name", "w.pth").weights == "w.pth"
    sizes = {"depths": [2, 2, 6, 2], "hidden_sizes": [40, 80, 160, 320]}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "convnextv2", **sizes}))
    found = settle_model(f"hf:{tmp_path}", None)
    assert (found.model, found.weights) == ("convnextv2_atto", f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "convnextv2", "depths": [1]}))
    assert settle_model(f"hf:{tmp_path}", None).model == f"hf:{tmp_path}"


def test_a_bad_name_is_refused():
    with pytest.raises(RecipeError, match=r"is named module:package\.file:function"):
        settle_model("module:net", None)


VIT = {"model_type": "vit", "architectures": ["ViTForImageClassification"]}


@pytest.mark.parametrize(
    ("config", "model"),
    [
        (VIT, "hf:{}"),
        ({"architectures": ["DeiTForImageClassificationWithTeacher"]}, "hf:{}"),
        ({"model_type": "convnextv2", "depths": [1], "architectures":
          ["ConvNextV2ForImageClassification"]}, "hf:{}"),  # no size of the family's
        ({"architecture": "resnet18", "num_classes": 10}, "timm:resnet18"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["hf:", ""])
def test_a_folder_of_weights_may_say_which_model_it_is(tmp_path, config, model, prefix):
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = find_stated_model(f"{prefix}{tmp_path}")
    assert (found.model, found.weights) == (model.format(tmp_path), f"{prefix}{tmp_path}")
    assert found.note.startswith(f"{found.model}: no model is stated, and config.json says ")


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"model_type": "convnextv2", "depths": [2, 2, 6, 2],
                    "hidden_sizes": [40, 80, 160, 320],
                    "architectures": ["ConvNextV2ForImageClassification"]}),
        json.dumps({"architecture": "convnextv2_atto"}),
        json.dumps({"architectures": ["BertForMaskedLM"]}),
        json.dumps({"architectures": 3}),
        json.dumps({"architecture": ""}),
        json.dumps({"architecture": "resnet 50\nx"}),
        "{",
        "[]",
    ],
)  # fmt: skip
def test_a_folder_that_says_nothing_of_another_family_is_left_to_its_weights(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    assert find_stated_model(f"hf:{tmp_path}") is None


@pytest.mark.parametrize("weights", [None, "", "in1k", "random", "hf:", "hf:owner/name", "a\0b"])
def test_weights_that_are_no_folder_state_no_model(weights):
    assert find_stated_model(weights) is None


def test_a_recipe_without_a_model_takes_the_folders(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(VIT))
    recipe = make_recipe({"load": {"weights": f"hf:{tmp_path}"}})
    assert recipe.model == f"hf:{tmp_path}"
    stated = make_recipe({"model": "atto", "load": {"weights": f"hf:{tmp_path}"}})
    assert stated.model == "convnextv2_atto"


def write_trained(path, model):
    """A file as `edge-convnext train` writes them, of one tensor."""
    save_file = pytest.importorskip("safetensors.numpy").save_file
    info = ModelInfo(model, 2, 3, ("a", "b"), Preprocess(64), "edge-convnext train", "0" * 64, None)
    save_file({"weight": np.ones(2, np.float32)}, path, info.to_metadata())
    return str(path)


@pytest.mark.parametrize(
    ("model", "becomes"),
    [
        ("timm:resnet18", "timm:resnet18"), ("module:a.b:c", "module:a.b:c"),
        ("conv2former_n", "conv2former_n"), ("convnextv2_nano", "convnextv2_nano"),
    ],
)  # fmt: skip
def test_a_trained_file_says_which_model_it_is(tmp_path, model, becomes):
    weights = write_trained(tmp_path / "trained.safetensors", model)
    recipe = make_recipe({"load": {"weights": weights}})
    assert recipe.model == becomes
    assert recipe.note == (
        f"{becomes}: no model is stated, and the metadata of trained.safetensors says so"
    )
    assert make_recipe({"load": {"weights": str(tmp_path)}}).model == becomes  # a folder with it


def test_a_trained_file_of_the_default_model_is_nothing_to_tell(tmp_path):
    recipe = make_recipe({"load": {"weights": write_trained(tmp_path / "w", "convnextv2_atto")}})
    assert (recipe.model, recipe.note) == ("convnextv2_atto", "")
    unknown = make_recipe({"load": {"weights": write_trained(tmp_path / "x", "mynet_9")}})
    assert unknown.model == "convnextv2_atto"  # loading it says what it is


def test_no_file_makes_the_hub_be_asked(tmp_path):
    weights = write_trained(tmp_path / "w.safetensors", "hf:owner/name")
    with pytest.raises(RecipeError, match=r"was trained as hf:owner/name, .*; pass --model with"):
        make_recipe({"load": {"weights": weights}})
    (tmp_path / "net").mkdir()
    there = write_trained(tmp_path / "v.safetensors", f"hf:{tmp_path / 'net'}")
    assert make_recipe({"load": {"weights": there}}).model == f"hf:{tmp_path / 'net'}"

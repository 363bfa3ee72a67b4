import json
import sys

import pytest

from edge_convnext.core.errors import RecipeError
from edge_convnext.networks.spelled import Spelled, settle_model


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

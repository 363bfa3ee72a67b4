import pytest

from edge_convnext.core.errors import RecipeError
from edge_convnext.networks.model_names import unknown_model, unknown_prefix

KNOWN = ["convnextv2_atto", "convnextv2_pico", "convnextv1_atto", "resnet50"]


def test_the_nearest_names_are_told_the_best_first():
    error = unknown_model("ConvNeXt-V2 ato", KNOWN)
    assert isinstance(error, RecipeError)
    assert str(error).startswith(
        "unknown model 'ConvNeXt-V2 ato': did you mean 'convnextv2_atto' (or convnext"
    )
    assert str(error).endswith("`edge-convnext models` lists every name")


def test_one_known_name_is_meant_alone():
    assert "did you mean 'resnet50'? `" in str(unknown_model("x", ["resnet50", "resnet50"]))


@pytest.mark.parametrize("name", ["x" * 1000])
def test_an_endless_name_is_cut(name):
    assert len(str(unknown_model(name, KNOWN))) < 300


WAYS = {"timm": "timm:NAME, of timm", "onnx": "onnx:STEM, a file"}


def test_how_other_networks_are_named_is_told_where_there_are_any():
    told = str(unknown_model("mobilenet", KNOWN, WAYS))
    assert told.endswith("lists every name; networks from elsewhere begin with timm:, onnx:")


def test_an_unknown_prefix_is_shown_the_nearest_and_all():
    error = unknown_prefix("tim:resnet18", "tim", WAYS)
    assert isinstance(error, RecipeError)
    assert "no family of networks is called 'tim'; did you mean 'timm:resnet18'?" in str(error)
    assert str(error).endswith("Known are timm:NAME, of timm; onnx:STEM, a file")
    assert len(str(unknown_prefix("x" * 1000 + ":" + "y" * 1000, "x" * 1000, WAYS))) < 450

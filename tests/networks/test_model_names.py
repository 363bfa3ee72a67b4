import pytest

from edge_convnext.core.errors import RecipeError
from edge_convnext.networks.model_names import unknown_model

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

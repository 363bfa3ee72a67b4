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
    assert "did you mean" not in told
    assert "did you mean 'resnet50'" in str(unknown_model("resnet5", KNOWN, WAYS))


def test_an_unknown_prefix_is_shown_the_nearest_and_all():
    error = unknown_prefix("tim:resnet18", "tim", WAYS)
    assert isinstance(error, RecipeError)
    assert "no family of networks is called 'tim'; did you mean 'timm:resnet18'?" in str(error)
    assert str(error).endswith("Known are timm:NAME, of timm; onnx:STEM, a file")
    assert len(str(unknown_prefix("x" * 1000 + ":" + "y" * 1000, "x" * 1000, WAYS))) < 450


@pytest.mark.parametrize("name", ["x.onnx", "models/x.ONNX", "C:\\models\\x.onnx"])
def test_an_onnx_file_is_told_as_weights(name):
    for error in (unknown_model(name, KNOWN, WAYS), unknown_prefix(name, name[0], WAYS)):
        assert str(error) == (
            f"'{name}' is an ONNX file and not the name of a network: pass it as --weights {name}, "
            "without --model"
        )


def test_a_checkpoint_or_a_folder_is_told_as_weights(tmp_path):
    for name in ("w.pth", "w.safetensors"):
        assert str(unknown_model(name, KNOWN, WAYS)) == (
            f"'{name}' is a file of weights and not the name of a network: pass it as --weights "
            f"{name}, and as --model the network that it is of"
        )
    assert f"'{tmp_path}' is a folder and not the name of a network: pass it as --weights " in str(
        unknown_model(str(tmp_path), KNOWN, WAYS)
    )


def test_what_is_no_prefix_is_neither_listed_as_one_nor_suggested():
    ways = {"timm": "timm:NAME, of timm", "onnx": "--weights FILE.onnx, a file"}
    assert str(unknown_model("mobilenet", KNOWN, ways)).endswith("begin with timm:")
    told = str(unknown_prefix("onx:net", "onx", ways))
    assert "did you mean" not in told
    assert told.endswith("Known are timm:NAME, of timm; --weights FILE.onnx, a file")

import pytest
from typer.testing import CliRunner

from edge_convnext.cli import app
from edge_convnext.cli.completion import (
    complete_device,
    complete_model,
    complete_recipe,
    complete_runtime,
    complete_words,
)


def test_words_that_begin_so():
    assert complete_words("fp32", "fp16", "int8")("fp") == ["fp32", "fp16"]
    assert complete_words("a")("b") == []


def test_models_of_every_family_and_beginnings_of_the_open_ones():
    assert "convnextv2_atto" in complete_model("convnextv2_a")
    assert {"timm:", "hf:", "module:"} <= set(complete_model(""))
    assert complete_model("nothing") == []


def test_recipes_are_shipped_ones_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "other.yml").touch()
    assert {"demo", "potato", "mine.yaml", "more/"} <= set(complete_recipe(""))
    assert "notes.txt" not in complete_recipe("")
    assert complete_recipe("more/o") == ["more/other.yml"]
    assert complete_recipe(f"{tmp_path}/m") == [f"{tmp_path}/mine.yaml", f"{tmp_path}/more/"]
    assert complete_recipe("missing/x") == []


def test_devices_and_runtimes():
    assert "orin-nano-8gb" in complete_device("orin-nano")
    assert {"auto", "onnxruntime", "openvino"} <= set(complete_runtime(""))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("build --model convnextv2_at", "convnextv2_atto"),
        ("build --recipe pot", "potato"),
        ("build --target tensor", "tensorrt"),
        ("build --precision i", "int8"),
        ("build --require-likely i", "int8"),
        ("build --calibration-method mean_q", "mean_quantile"),
        ("predict m.onnx a.jpg --runtime open", "openvino"),
        ("targets orin-nano-8", "orin-nano-8gb"),
    ],
)
def test_the_shell_is_given_the_values(line, word):
    name = "edge-convnext"
    asked = {
        "_EDGE_CONVNEXT_COMPLETE": "complete_bash",
        "COMP_WORDS": f"{name} {line}",
        "COMP_CWORD": str(len(line.split())),
    }
    found = CliRunner().invoke(app, [], prog_name=name, env=asked)
    assert word in found.output.split()

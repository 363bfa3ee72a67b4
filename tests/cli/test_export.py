import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_convnext.build import export_only
from edge_convnext.build.export_only import Exported
from edge_convnext.core.artifacts import Parity

MADE = Exported(
    Path("m.onnx"), "conv", 20, "dynamic", 1_500_000, Parity(32, 2e-6, 121.0, 100.0), None
)


@pytest.fixture
def asked(monkeypatch):
    found = []

    def make(recipe, out, **_):
        found.append((recipe, out))
        return replace(MADE, path=out, simplified="it timed out" if out.stem == "slow" else None)

    monkeypatch.setattr(export_only, "export_float", make)
    return found


def test_it_tells_what_was_written_and_how_near_it_is(call, asked):
    line = ("export", "--model", "pico", "--weights", "random", "--imgsz", "64", "--form", "conv")
    code, out, err = call(*line, "-o", "m.onnx")
    assert (code, err) == (0, "")
    assert out == (
        "m.onnx: the conv form in FP32, opset 20, batch dynamic, 1.5 MB; against the model as it "
        "came: max error 2.0e-06, 121.0 dB, agreement 100.0 % on 32 images\n"
    )
    recipe, path = asked[0]
    assert (recipe.model, path) == ("convnextv2_pico", Path("m.onnx"))
    assert (recipe.preprocess.image_size, recipe.export.form) == (64, "conv")


def test_as_json_it_is_one_document(call, asked):
    code, out, err = call("export", "--weights", "random", "-o", "slow.onnx", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["path"] == "slow.onnx"
    assert found["simplified"] == "it timed out"
    assert found["parity"]["agreement_pct"] == 100.0


def test_what_was_not_simplified_is_told(call, asked):
    assert call("export", "--weights", "random", "-o", "slow.onnx")[2] == (
        "not simplified: it timed out\n"
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "no weights: pass --weights FILE"),
        (("--weights", "missing.pth"), "missing.pth: no such file"),
        (("--weights", "random", "--opset", "9"), "--opset 9"),
        (("--weights", "random", "--form", "best"), "best"),
    ],
)
def test_bad_input_is_one_line(call, tmp_path, flags, words):
    code, out, err = call("export", "-o", "m.onnx", *flags, "--quiet")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert words in err
    assert not (tmp_path / "m.onnx").exists()

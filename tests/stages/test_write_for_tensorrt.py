"""A graph as one TensorRT takes it: which passes run, on what, and what is left."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import ExportError
from edge_convnext.stages import write_for_tensorrt as module
from edge_convnext.stages.write_for_tensorrt import write_for_tensorrt


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("graph")
    return OnnxModel(path, "fp32", "conv")


@pytest.fixture
def calls(monkeypatch):
    """What each pass was given; each writes its name behind what it read."""
    found = []

    def stand_in(name):
        def run(model, output, *rest):
            found.append((name, *rest))
            output.write_text(f"{model.path.read_text()} {name}")
            return replace(model, path=output)

        return run

    for name in ("use_uint8_images", "halve_body", "use_opset_17"):
        monkeypatch.setattr(module, name, stand_in(name))
    return found


@pytest.mark.parametrize(
    ("images", "halved", "opset_17", "expected", "borders"),
    [
        ("float32", False, False, "graph", []),
        ("float16", True, False, "graph halve_body", [("halve_body", "float16")]),
        ("float32", True, False, "graph halve_body", [("halve_body", "float32")]),
        ("float16", False, True, "graph use_opset_17", [("use_opset_17",)]),
        (
            "uint8", True, False, "graph use_uint8_images halve_body",
            [("use_uint8_images",), ("halve_body", "float32")],
        ),
        ("uint8", False, False, "graph use_uint8_images", [("use_uint8_images",)]),
    ],
)  # fmt: skip
def test_passes(model, calls, images, halved, opset_17, expected, borders):
    output = model.path.parent / "out" / "made.onnx"
    output.parent.mkdir()
    beside = output.with_name("pixels.onnx")
    beside.write_text("the user's own")
    made = write_for_tensorrt(model, output, images, halved=halved, opset_17=opset_17)
    assert made.path == output
    assert output.read_text() == expected
    assert calls == borders
    assert beside.read_text() == "the user's own"
    beside.unlink()
    assert [path.name for path in output.parent.iterdir()] == ["made.onnx"]
    assert Path(model.path).read_text() == "graph"


def test_a_pass_that_fails_leaves_nothing_behind(model, calls, monkeypatch):
    def fail(*_):
        raise ExportError("no")

    monkeypatch.setattr(module, "halve_body", fail)
    with pytest.raises(ExportError):
        write_for_tensorrt(
            model, model.path.with_name("made.onnx"), "uint8", halved=True, opset_17=False
        )
    assert calls == [("use_uint8_images",)]
    assert [path.name for path in model.path.parent.iterdir()] == ["model.onnx"]

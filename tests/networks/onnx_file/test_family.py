from pathlib import Path

import pytest

from edge_convnext.core.artifacts import ModelInfo, Preprocess, Weights
from edge_convnext.core.errors import LoadError, RecipeError
from edge_convnext.networks.family import family_of_model, find_model, full_name
from edge_convnext.networks.onnx_file.family import FAMILY


def test_the_prefix_alone_tells_the_family():
    assert family_of_model("onnx:anything") is FAMILY
    assert full_name("onnx:anything") == "onnx:anything"
    shape = find_model("onnx:net", 7, 1)
    assert (shape.family, shape.name, shape.num_classes, shape.in_channels) == (
        "onnx", "onnx:net", 7, 1,
    )  # fmt: skip
    assert FAMILY.short_name("onnx:net") == "net"
    with pytest.raises(RecipeError):
        full_name("onnx:")


def test_the_source_lies_beside_the_canonical_graph():
    info = ModelInfo("onnx:net", 7, 3, (), Preprocess(), "net.onnx", "0" * 64, None)
    weights = Weights(Path("cache/canonical.onnx"), find_model("onnx:net", 7), info)
    assert FAMILY.source_graph(weights) == Path("cache/source.onnx")


def test_there_is_no_torch_form():
    shape = find_model("onnx:net")
    assert not FAMILY.trainable
    assert not FAMILY.folds
    for call in (
        lambda: FAMILY.draw(shape, 0),
        lambda: FAMILY.make_trainable(shape, 0.0),
        lambda: FAMILY.translate({}, "weights.pth"),
    ):
        with pytest.raises(LoadError):
            call()

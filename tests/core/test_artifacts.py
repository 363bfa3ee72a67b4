import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edge_convnext.core.artifacts import (
    MAX_IMAGE_SIZE,
    METADATA_KEY,
    ModelInfo,
    OnnxModel,
    Preprocess,
    file_of,
)
from edge_convnext.core.errors import ArtifactError

PREPROCESS = Preprocess(96, "shortest", 0.875, "bicubic", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
INFO = ModelInfo("convnextv2_atto", 2, 3, ("ant", "bee"), PREPROCESS, "w.pth", "a" * 64, "MIT")


def test_preprocessing_survives_json_and_leaves_unknown_keys_out():
    fields = json.loads(json.dumps(asdict(PREPROCESS)))
    assert Preprocess.from_json({**fields, "later": 1}) == PREPROCESS
    assert Preprocess.from_json({}) == Preprocess()


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": 0}, {"image_size": MAX_IMAGE_SIZE + 1}, {"image_size": 96.0},
        {"crop_pct": 0.0}, {"crop_pct": 1.1}, {"resize": "stretch"}, {"interpolation": "linear"},
        {"mean": [0.5, 0.5]}, {"std": [1.0, 0.0, 1.0]}, {"mean": [float("nan"), 0.0, 0.0]},
        {"std": "abc"},
    ],
)  # fmt: skip
def test_preprocessing_that_can_not_be_is_refused(change):
    with pytest.raises((TypeError, ValueError)):
        Preprocess.from_json({**asdict(PREPROCESS), **change})
    with pytest.raises(ArtifactError, match=r"m\.onnx: its .* metadata is damaged \(.+\)"):
        read({"preprocess": {**asdict(PREPROCESS), **change}})


def read(change, info=INFO):
    fields = json.loads(info.to_metadata()[METADATA_KEY])
    return ModelInfo.from_metadata({METADATA_KEY: json.dumps({**fields, **change})}, Path("m.onnx"))


def test_what_a_file_says_of_itself_is_read_back():
    assert ModelInfo.from_metadata(INFO.to_metadata(opset=17), Path("m.onnx")) == INFO
    nameless = replace(INFO, classes=(), weights_licence=None)
    assert read({}, nameless) == nameless


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["ant"]}, {"classes": ["ant", "bee\x1b[2J"]}, {"classes": ["ant", 1]},
        {"model": None}, {"weights_licence": 1}, {"num_classes": "many"}, {"weights_source": "\n"},
    ],
)  # fmt: skip
def test_metadata_that_contradicts_itself_or_steers_a_terminal_is_none(change):
    with pytest.raises(ArtifactError, match=r"metadata is damaged \(.+\); build it again"):
        read(change)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000])
def test_foreign_metadata_is_none(text):
    for metadata in ({METADATA_KEY: text}, {}):
        with pytest.raises(ArtifactError, match="no edge-convnext metadata"):
            ModelInfo.from_metadata(metadata, Path("m.onnx"))


def test_a_path_may_be_a_text():
    assert OnnxModel("a/m.onnx", "fp32", "raw").path == Path("a/m.onnx")


def test_a_square_given_twice_is_the_square_and_a_rectangle_has_its_sides():
    square = Preprocess(image_size=(64, 64))
    assert (square, square.image_size) == (Preprocess(64), 64)
    assert (square.height, square.width) == (64, 64)
    wide = Preprocess.from_json({"image_size": [64, 96]})
    assert (wide.image_size, wide.height, wide.width) == ((64, 96), 64, 96)
    assert {wide: 1}[Preprocess((64, 96))] == 1  # hashable, and equal to one made of a tuple
    assert Preprocess.from_json(json.loads(json.dumps(asdict(wide)))) == wide


@pytest.mark.parametrize(
    "size",
    [[64], [64, 96, 3], [0, 64], [64, MAX_IMAGE_SIZE + 1], [64, 96.0], ["64", "96"], "64,96"],
)
def test_sides_that_no_image_has_are_refused(size):
    with pytest.raises(ValueError, match="image_size is not 1 to 4096 pixels"):
        Preprocess.from_json({"image_size": size})


def test_the_file_of_an_artefact_is_told_apart_from_how_it_is_run():
    assert file_of("model.int8.onnx bf16") == file_of("model.int8.onnx") == "model.int8.onnx"

"""What `deploy --format litert` writes, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.deployables import LABELS, ship

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.deploy.facts import read_deployable
from edge_convnext.devices.deploy.write import choose_for, write_deployment
from edge_convnext.graph.tflite_file import write_model

PREPROCESS = Preprocess(image_size=(8, 4), resize="shortest", crop_pct=0.5)


def write_lite(path, channels=3, labels=LABELS, preprocess=PREPROCESS):
    info = ModelInfo(
        "convnextv2_atto", 5, channels, labels, preprocess, "random", "0" * 64, None
    )  # fmt: skip
    carried = info.to_metadata(precision="int8", form="linear", format="litert")
    (facts,) = map(json.loads, carried.values())
    write_model(b"\x1c\x00\x00\x00TFL3no sense", facts, labels, path)
    return path


@pytest.fixture
def lite(build):
    write_lite(build / "model.int8.tflite")
    ship(build, "int8")
    return build


def test_the_lite_model_is_taken_and_described(lite):
    choice = choose_for("litert", lite)
    assert choice.path == lite / "model.int8.tflite"
    assert read_deployable(choice.path, lite).label == "int8, LiteRT"


def test_assets_have_the_model_its_labels_and_its_preprocessing(lite, tmp_path):
    out = tmp_path / "out"
    write_deployment(lite, "litert", out)
    model = lite / "model.int8.tflite"
    assert (out / "assets/model.tflite").read_bytes() == model.read_bytes()
    assert (out / "assets/labels.txt").read_text(encoding="utf-8").splitlines() == list(LABELS)
    stated = json.loads((out / "assets/preprocessing.json").read_text())
    assert (stated["image_size"], stated["resize"], stated["colour"]) == (
        [8, 4], "shortest", "RGB"
    )  # fmt: skip
    pixel = np.array([10.0, 100.0, 250.0])
    by_formula = (pixel / 255 - np.array(PREPROCESS.mean)) / np.array(PREPROCESS.std)
    by_file = pixel * np.array(stated["scale"]) - np.array(stated["shift"])
    np.testing.assert_allclose(by_file, by_formula, rtol=1e-6)


def test_the_readme_states_the_tensors_and_the_size(lite, tmp_path):
    write_deployment(lite, "litert", tmp_path / "out")
    text = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "float32[1, 8, 4, 3]" in text
    assert "to cover 8x16, and cut 4x8 from its centre" in text
    assert "convnextv2_atto, int8, LiteRT" in text


def test_a_grey_model_has_one_factor(build, tmp_path):
    write_lite(build / "model.int8.tflite", 1, ())
    ship(build, "int8")
    write_deployment(build, "litert", tmp_path / "out")
    stated = json.loads((tmp_path / "out/assets/preprocessing.json").read_text())
    assert (len(stated["scale"]), stated["colour"][:4]) == (1, "grey")
    assert (tmp_path / "out/assets/labels.txt").read_text() == "0\n1\n2\n3\n4\n"


def test_a_build_without_a_lite_model_says_how_to_get_one(build, tmp_path):
    with pytest.raises(ArtifactError, match=r"no LiteRT model .*with the extra litert installed"):
        write_deployment(build, "litert", tmp_path / "out")


def test_models_and_formats_that_do_not_belong_together_are_refused(lite, tmp_path):
    with pytest.raises(ArtifactError, match=r"no LiteRT model, .* pass --model with a \.tflite"):
        write_deployment(lite, "litert", tmp_path / "out", lite / "model.int8.onnx")
    with pytest.raises(ArtifactError, match="Triton runs no LiteRT models"):
        write_deployment(lite, "triton", tmp_path / "out", lite / "model.int8.tflite")
    with pytest.raises(ArtifactError, match="not an engine, and python runs engines"):
        write_deployment(lite, "python", tmp_path / "out", lite / "model.int8.tflite")
    assert not (tmp_path / "out").exists()


def test_a_damaged_model_is_refused(lite, tmp_path):
    content = bytearray((lite / "model.int8.tflite").read_bytes())
    content[12] ^= 1
    (lite / "model.int8.tflite").write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        write_deployment(lite, "litert", tmp_path / "out")

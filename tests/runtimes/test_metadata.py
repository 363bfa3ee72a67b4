import json
from types import SimpleNamespace

import pytest
from support.claimed_graph import INFO, WORDS, built
from support.tiny_graph import write_graph

from edge_convnext.core.artifacts import METADATA_KEY
from edge_convnext.core.errors import ArtifactError
from edge_convnext.runtimes import metadata as module
from edge_convnext.runtimes.metadata import Metadata, read_metadata


def refusal(path):
    with pytest.raises(ArtifactError) as caught:
        read_metadata(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ")
    assert "\n" not in told
    return told.removeprefix(f"{path}: ")


def test_a_graph_of_ours_says_what_it_is(tmp_path):
    path = built(tmp_path / "m.onnx", precision="int8", form="conv", placement="inner")
    assert read_metadata(path) == Metadata(INFO, "int8", "conv", "inner", "qdq")
    fused = built(tmp_path / "m.onnx", format="onnxruntime")
    assert read_metadata(fused) == Metadata(INFO, "fp32", "raw", None, "onnxruntime")


def test_a_foreign_graph_is_refused_in_one_line(tmp_path):
    assert refusal(write_graph(tmp_path / "m.onnx")) == (
        "no edge-convnext metadata in this file; pass a model that `edge-convnext build` wrote"
    )
    (tmp_path / "m.onnx").write_bytes(b"GIF89a")
    assert refusal(tmp_path / "m.onnx")
    assert refusal(tmp_path / "gone.onnx")


@pytest.mark.parametrize("field", ["precision", "form"])
def test_metadata_that_lacks_a_field_names_it(tmp_path, field):
    def change(proto):
        words = {name: value for name, value in WORDS.items() if name != field}
        proto.metadata_props[0].value = INFO.to_metadata(**words)[METADATA_KEY]

    told = refusal(built(tmp_path / "m.onnx", change))
    assert told == f"its edge-convnext metadata lacks '{field}'; build it again"


def test_a_graph_from_before_placements_and_formats_is_read(tmp_path):
    def change(proto):
        fields = json.loads(proto.metadata_props[0].value)
        del fields["placement"]
        proto.metadata_props[0].value = json.dumps(fields)

    assert read_metadata(built(tmp_path / "m.onnx", change)) == Metadata(INFO, "fp32", "raw", None)


@pytest.mark.parametrize(
    ("field", "word"),
    [("precision", "int4"), ("form", "circle"), ("placement", "nowhere"), ("format", "pickle")],
)
def test_a_word_of_another_version_is_named_by_its_field(tmp_path, field, word):
    told = refusal(built(tmp_path / "m.onnx", **{field: word}))
    assert told == (
        f"its edge-convnext metadata has a {field} that this version does not know; build it again"
    )


def test_a_model_that_no_family_has_is_refused(tmp_path):
    assert "resnet50" in refusal(built(tmp_path / "m.onnx", model="resnet50"))


def test_logits_of_another_number_than_the_classes_are_refused(tmp_path):
    assert refusal(built(tmp_path / "m.onnx", num_classes=7)) == (
        "gives 5 logits, and its metadata says 7 classes; build it again"
    )


def test_a_graph_that_does_not_say_how_many_logits_it_gives_is_read(tmp_path):
    def change(proto):
        proto.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "classes"

    assert read_metadata(built(tmp_path / "m.onnx", change, num_classes=7)).info.num_classes == 7


@pytest.mark.parametrize("form", ["conv", None])
def test_an_engine_is_what_its_sidecar_says(tmp_path, monkeypatch, form):
    facts = SimpleNamespace(info=INFO, precision="int8", form=form, placement="inner")
    monkeypatch.setattr(module, "is_engine_file", lambda path: True)
    monkeypatch.setattr(module, "read_facts", lambda path: facts)
    found = read_metadata(tmp_path / "m.engine")
    assert found == Metadata(INFO, "int8", form or "raw", "inner")


@pytest.mark.parametrize(
    "fields",
    [
        {"preprocess": {"image_size": 1 << 40}},
        {"preprocess": {"image_size": "4"}},
        {"preprocess": {"crop_pct": 1e-9}},
        {"preprocess": {"std": [0, 1, 1]}},
        {"preprocess": {"mean": [float("nan"), 0, 0]}},
        {"preprocess": {"interpolation": "run"}},
        {"preprocess": []},
        {"classes": ["a", "b"]},
        {"classes": ["a", 1, 2, 3, 4]},
        {"classes": ["\x1b]0;owned\x07", "b", "c", "d", "e"]},
        {"num_classes": 1e400},
        {"num_classes": 7},
        {"precision": {}},
        {"form": "../x"},
        {"format": "pickle"},
    ],
)
def test_metadata_that_no_build_writes_is_refused(tmp_path, fields):
    with pytest.raises(ArtifactError, match="metadata"):
        read_metadata(built(tmp_path / "m.onnx", **fields))


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "3", '"x"', "\x00", "9" * 5000])
def test_metadata_that_is_hostile_json_is_refused(tmp_path, text):
    def change(proto):
        proto.metadata_props[0].value = text

    with pytest.raises(ArtifactError, match="no edge-convnext metadata"):
        read_metadata(built(tmp_path / "m.onnx", change))

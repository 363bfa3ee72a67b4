import json
import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from support.tiny_qdq import Builder

from edge_convnext.core.artifacts import METADATA_KEY
from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.file import (
    copy_message,
    element_types,
    fixed_batch,
    read_facts,
    read_opset,
    read_proto,
    set_facts,
    write_proto,
)


@pytest.fixture
def proto():
    build = Builder()
    weight = build.constant("w", np.ones((4, 600), np.float32))  # over 1 KiB: its type is enough
    y = build.node("MatMul", ["images", weight], "y")
    z = build.node("Cast", [y], "z", to=TensorProto.FLOAT)
    return build.model({"images": ["batch", 4]}, z, 2)


def test_a_graph_is_written_whole_and_read_back_whatever_its_name(tmp_path, proto):
    for name in ("a.onnx", "a.json"):
        write_proto(proto, tmp_path / name)
        assert read_proto(tmp_path / name) == proto
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "a.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.onnx"]


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty, or not ONNX"), (b"text\n", "truncated, or not ONNX")]
)
def test_what_is_no_graph_is_refused(tmp_path, content, words):
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=words):
        read_proto(path)


def test_neither_a_missing_file_nor_a_pipe_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("none", "No such file"), ("pipe", "a pipe")):
        with pytest.raises(ArtifactError, match=words):
            read_proto(tmp_path / name)


def test_weights_beside_the_file_are_read_where_they_are_wanted(tmp_path, proto):
    path = tmp_path / "a.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "w.bin").unlink()
    assert read_proto(path, weights=False).graph.initializer[0].name == "w"
    with pytest.raises(ArtifactError, match=r"a\.onnx: "):
        read_proto(path)


@pytest.mark.parametrize(("batch", "found"), [("batch", None), (3, 3)])
def test_the_batch_is_one_or_free(tmp_path, batch, found):
    build = Builder()
    model = build.model({"images": [batch, 4]}, build.node("Relu", ["images"], "y"), 2)
    write_proto(model, tmp_path / "a.onnx")
    assert fixed_batch(tmp_path / "a.onnx") == found


def test_the_opset_is_that_of_onnxs_own_operations(proto):
    proto.opset_import.add(domain="com.microsoft", version=99)
    assert read_opset(proto) == 20


def test_facts_are_added_to_our_own_metadata_alone(proto):
    set_facts(proto, opset=17)
    assert not proto.metadata_props
    onnx.helper.set_model_props(proto, {METADATA_KEY: '{"opset": 20, "form": "conv"}', "a": "{}"})
    set_facts(proto, opset=17)
    found = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(found[METADATA_KEY]) == {"form": "conv", "opset": 17}
    assert found["a"] == "{}"


def test_every_value_has_its_element_type(proto):
    proto.graph.node[1].attribute[0].i = TensorProto.FLOAT16
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    assert element_types(proto) == {
        "images": TensorProto.FLOAT,
        "w": TensorProto.FLOAT,
        "y": TensorProto.FLOAT,
        "z": TensorProto.FLOAT16,
    }


@pytest.mark.parametrize(
    ("stated", "facts"),
    [('{"model": "a"}', {"model": "a"}), ("{", {}), ("[1]", {}), (None, {}), ("[" * 9999, {})],
)
def test_facts_are_read_where_there_are_any(proto, stated, facts):
    if stated is not None:
        onnx.helper.set_model_props(proto, {METADATA_KEY: stated})
    assert read_facts(proto) == facts


@pytest.mark.parametrize("torch_zip", [True, False])
def test_a_checkpoint_is_to_be_built_first(tmp_path, torch_zip):
    torch = pytest.importorskip("torch", reason="the build extra is not installed")
    torch.save({"a": torch.ones(2)}, tmp_path / "w.pth", _use_new_zipfile_serialization=torch_zip)
    with pytest.raises(ArtifactError) as caught:
        read_proto(tmp_path / "w.pth")
    assert str(caught.value) == (
        f"{tmp_path / 'w.pth'}: a torch checkpoint; build it first (`edge-convnext build --weights "
        f"{tmp_path / 'w.pth'}`)"
    )


def test_safetensors_are_to_be_built_first(tmp_path):
    (tmp_path / "w.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(ArtifactError, match=r"a safetensors file; build it first \(`edge-convnext"):
        read_proto(tmp_path / "w.safetensors")


def test_the_models_in_a_folder_are_named(tmp_path):
    with pytest.raises(ArtifactError, match="a folder; there is no built model in it; `edge-conv"):
        read_proto(tmp_path)
    (tmp_path / "cpu").mkdir()
    for name in ("model.int8.onnx", "cpu/model.fp32.onnx", "model.engine", "notes.txt"):
        (tmp_path / name).touch()
    with pytest.raises(ArtifactError) as caught:
        read_proto(tmp_path)
    assert str(caught.value).endswith(
        ": a folder; pass one of the models in it: cpu/model.fp32.onnx, model.engine, "
        "model.int8.onnx"
    )


def test_a_copy_is_equal_and_apart():
    node = onnx.helper.make_node("Relu", ["a"], ["b"], name="one")
    made = copy_message(node)
    assert made == node
    made.input[0] = "c"
    assert node.input[0] == "a"

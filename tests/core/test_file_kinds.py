import io
import json
import pickle
import zipfile

import onnx
import pytest
from onnx import TensorProto, helper

from edge_convnext.core.file_kinds import is_engine, is_tflite, recognise


def archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return buffer.getvalue()


def safetensors():
    header = json.dumps({}).encode()
    return len(header).to_bytes(8, "little") + header


def graph():
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    model = helper.make_model(helper.make_graph([], "g", [value], [value]))
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (safetensors(), "safetensors", "safetensors"),
        (pickle.dumps({}, protocol=2), "torch", "torch checkpoint"),
        (archive("archive/data.pkl"), "torch", "torch checkpoint"),
        (b"PK\x03\x04 cut off", "torch", "torch checkpoint"),
        (graph(), "graph", "ONNX"),
        (b"ftrt....", "engine", "TensorRT engine"),
        (archive("m/data.pkl", "m/constants.pkl"), "other", "TorchScript"),
        (archive("m/data.pkl", "m/code/a.py"), "other", "TorchScript"),
        (archive("m.weights.h5"), "other", "Keras"),
        (archive("archive_format"), "other", "torch.export"),
        (archive("a.npy", "b.npy"), "other", "npz"),
        (archive("a.npy", "b.txt"), "other", "zip archive of 2 files"),
        (archive(), "other", "zip archive of 0 files"),
        (b"", "other", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1", "other", "Git LFS"),
        (b"\0" * 257 + b"ustar", "other", "tar archive"),
        (b"\x1f\x8b\x08", "other", "gzip"),
        (b" \n<!DOCTYPE html>", "other", "a web page"),
        (b"<?xml version='1.0'?><net>", "other", "OpenVINO"),
        (b"epoch,loss\n1,2\n", "other", "text, not a checkpoint"),
        (b"\0\1\2\3\4\5", "other", "of a kind that is not known"),
    ],
)
def test_a_file_is_what_its_bytes_say(tmp_path, content, name, words):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    found = recognise(path)
    assert found.name == name
    assert words in found.words
    assert found.remedy
    assert is_engine(path) == (name == "engine")


def test_an_onnx_graph_that_starts_with_its_version_is_no_pickle():
    assert graph()[0] == 0x08
    assert onnx.load_from_string(graph()).graph.name == "g"


def test_what_can_t_be_read_is_no_engine(tmp_path):
    assert not is_engine(tmp_path / "none")
    assert not is_engine(tmp_path)
    with pytest.raises(OSError, match="No such file"):
        recognise(tmp_path / "none")


def test_a_lite_model_is_told_by_its_bytes_and_else_by_its_name(tmp_path):
    (tmp_path / "renamed.bin").write_bytes(b"\x1c\x00\x00\x00TFL3")
    (tmp_path / "empty.tflite").write_bytes(b"")
    assert is_tflite(tmp_path / "renamed.bin")
    assert is_tflite(tmp_path / "empty.tflite")
    assert is_tflite(tmp_path / "none.tflite")
    assert not is_tflite(tmp_path / "model.onnx")

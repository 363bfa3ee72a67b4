import os

import pytest
import torch
from support.own_files import Own

from edge_convnext.core.errors import RecipeError
from edge_convnext.networks.onnx_file.find import (
    find_own_graph,
    model_of_weights,
    name_of_graph,
)


def test_a_graph_is_known_by_its_bytes_or_its_suffix(tmp_path):
    path = Own().save(tmp_path / "net.onnx")
    renamed = tmp_path / "net.bin"
    renamed.write_bytes(path.read_bytes())
    torch.save({}, tmp_path / "checkpoint.onnx")
    (tmp_path / "damaged.onnx").write_bytes(b"\x99\x98\x97")
    (tmp_path / "other.bin").write_bytes(b"\x99\x98\x97")
    found = {
        name: find_own_graph(str(tmp_path / name))
        for name in ("net.onnx", "net.bin", "checkpoint.onnx", "damaged.onnx", "other.bin",
                     "gone.onnx", "gone.pth")
    }  # fmt: skip
    assert [name for name, one in found.items() if one is not None] == [
        "net.onnx", "net.bin", "damaged.onnx", "gone.onnx",
    ]  # fmt: skip


@pytest.mark.parametrize("weights", [None, "in1k", "in1k@abc", "random", "a\0b.onnx", ""])
def test_what_is_no_path_is_no_graph(weights):
    assert find_own_graph(weights) is None


def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "model.onnx")
    assert find_own_graph(str(tmp_path / "model.onnx")) is None


def test_a_folder_leads_to_its_only_graph(tmp_path):
    path = Own().save(tmp_path / "model.onnx")
    (tmp_path / "config.json").write_text("{}")
    assert find_own_graph(str(tmp_path)) == path
    Own().save(tmp_path / "second.onnx")
    assert find_own_graph(str(tmp_path)) is None
    (tmp_path / "second.onnx").unlink()
    torch.save({}, tmp_path / "weights.pth")
    assert find_own_graph(str(tmp_path)) is None


def test_of_a_huge_folder_the_first_thousand_entries_are_asked_for(tmp_path, monkeypatch):
    path = Own().save(tmp_path / "model.onnx")
    asked = []

    def endless(_folder):
        for n in range(5000):
            asked.append(n)
            yield path if n == 999 else tmp_path / f"{n}.jpg"

    monkeypatch.setattr(type(tmp_path), "iterdir", endless)
    assert find_own_graph(str(tmp_path)) == path
    assert len(asked) == 1000


@pytest.mark.parametrize(
    ("file", "name"),
    [("squeezenet1.1.onnx", "onnx:squeezenet1.1"), ("a b/ü.ONNX", "onnx:model"),
     ("my net (2).onnx", "onnx:my-net-2"), ("weights", "onnx:weights"),
     ("x" * 300 + ".onnx", "onnx:" + "x" * 80)],
)  # fmt: skip
def test_the_name_is_that_of_the_file(tmp_path, file, name):
    assert name_of_graph(tmp_path / file) == name


def test_a_model_beside_the_file_is_refused(tmp_path):
    path = str(Own().save(tmp_path / "net.onnx"))
    assert model_of_weights(path, None, "--model") == "onnx:net"
    assert model_of_weights(path, "onnx:net", "--model") is None  # as reports have it
    assert model_of_weights("weights.pth", "atto", "--model") is None
    with pytest.raises(RecipeError, match=r"^--model 'atto': .*net.onnx is an ONNX file, which"):
        model_of_weights(path, "atto", "--model")


@pytest.mark.parametrize(("model", "file"), [("onnx:x.onnx", "x.onnx"), ("onnx:x", "FILE.onnx")])
def test_a_file_that_the_command_line_calls_a_model_is_told_as_weights(model, file):
    for weights in (None, "x.onnx", "w.pth"):
        assert model_of_weights(weights, model, "--model") is None  # as reports have it
        with pytest.raises(RecipeError) as told:
            model_of_weights(weights, model, "--model", by_caller=True)
        assert str(told.value) == (
            f"--model '{model}': an ONNX file brings its own network; pass it as --weights {file}, "
            "without --model"
        )

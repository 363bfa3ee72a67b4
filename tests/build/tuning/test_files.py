import json

import pytest

from edge_convnext.build.tuning import files as tune_files
from edge_convnext.build.tuning.files import check_tune_folder, write_tune_files
from edge_convnext.core.errors import ArtifactError

SCHEMA = "edge-convnext/tune-gpu/1"


def search(*recipes):
    names = dict.fromkeys(recipes, "model: atto\n")
    return {"tune.json": json.dumps({"schema": SCHEMA, "recipes": list(recipes)}), **names}


def test_a_search_replaces_what_an_earlier_one_wrote_and_nothing_else(tmp_path):
    write_tune_files(tmp_path, search("tuned.yaml", "tuned-2.yaml", "tuned-3.yaml"))
    (tmp_path / "tuned-notes.yaml").write_text("mine")
    check_tune_folder(tmp_path)
    write_tune_files(tmp_path, search("tuned.yaml"))
    assert {path.name for path in tmp_path.iterdir()} == {
        *("tune.json", "tuned.yaml", "tuned-notes.yaml")
    }


@pytest.mark.parametrize("name", ["tune.json", "tuned.yaml", "tuned-3.yaml"])
@pytest.mark.parametrize("searched", [False, True])
def test_a_file_that_no_search_wrote_is_not_overwritten(tmp_path, name, searched):
    if searched and name == "tuned-3.yaml":
        write_tune_files(tmp_path, search("tuned.yaml"))
    (tmp_path / name).write_text("{}")
    for refuse in (check_tune_folder, lambda folder: write_tune_files(folder, search())):
        with pytest.raises(ArtifactError, match=f"{name}: would be overwritten"):
            refuse(tmp_path)
    assert (tmp_path / name).read_text() == "{}"


def test_a_full_disk_costs_no_earlier_search(tmp_path, monkeypatch):
    write_tune_files(tmp_path, search("tuned.yaml"))
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tune_files, "write_text_atomic", full)
    with pytest.raises(ArtifactError, match="what was there is as it was"):
        write_tune_files(tmp_path, search("tuned.yaml", "tuned-2.yaml"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def with_model(tmp_path, content):
    (tmp_path / "graph").write_bytes(content)
    fields = {"schema": SCHEMA, "recipes": [], "files": ["model.int8.onnx"]}
    return {"tune.json": json.dumps(fields)}, {"model.int8.onnx": tmp_path / "graph"}


def test_a_model_that_won_is_replaced_with_the_search_that_found_it(tmp_path):
    out = tmp_path / "out"
    write_tune_files(out, *with_model(tmp_path, b"one"))
    write_tune_files(out, *with_model(tmp_path, b"two"))
    assert (out / "model.int8.onnx").read_bytes() == b"two"
    write_tune_files(out, search("tuned.yaml"))
    assert not (out / "model.int8.onnx").exists()
    (out / "model.int8.onnx").write_bytes(b"mine")
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx: would be overwritten"):
        check_tune_folder(out)

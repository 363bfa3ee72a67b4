import pytest
from support.example_report import example_report

from edge_convnext.build.publish import publish
from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.beside import Beside
from edge_convnext.report.contract import Report
from edge_convnext.report.manifest import read_manifest

REPORTS = ("report.json", "report.md", "recipe.yaml")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "graph"
    path.write_bytes(b"int8")
    return path


def test_the_report_names_the_files_that_lie_beside_it(tmp_path, model):
    folder = tmp_path / "out"
    written = publish(Beside({"model.int8.onnx": model}), example_report(), folder)
    assert [file.path for file in written.outputs] == ["model.int8.onnx"]
    assert Report.read(folder / "report.json") == written
    assert set(read_manifest(folder)) == {
        "model.int8.onnx", "report.json", "report.md", "report.html", "recipe.yaml",
    }  # fmt: skip


def test_an_older_build_goes_as_a_whole_and_what_is_the_users_stays(tmp_path, model):
    folder = tmp_path / "out"
    publish(Beside({"model.int8.onnx": model, "cpu/int8.openvino.onnx": model}),
            example_report(), folder)  # fmt: skip
    (folder / "notes.txt").write_text("mine")
    publish(Beside({"model.fp32.onnx": model}), example_report(), folder)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "model.fp32.onnx", "report.json", "report.md", "report.html", "recipe.yaml",
        "manifest.json", "notes.txt",
    }  # fmt: skip


def test_a_file_of_our_names_that_is_the_users_is_never_replaced(tmp_path, model):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "model.int8.onnx").write_text("mine")
    with pytest.raises(ArtifactError, match="no build in"):
        publish(Beside({"model.int8.onnx": model}), example_report(), folder)
    assert (folder / "model.int8.onnx").read_text() == "mine"
    assert [path.name for path in folder.iterdir()] == ["model.int8.onnx"]

import errno
import shutil
from pathlib import Path

import pytest
from support.bench_boards import ORT
from support.example_report import example_report

from edge_convnext.core.errors import (
    ArtifactError,
)
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bench import bench_bundle
from edge_convnext.devices.bench.publish import OWN_FILES, find_old, publish_board
from edge_convnext.devices.ssh.session import Session
from edge_convnext.report import beside
from edge_convnext.report.beside import Beside
from edge_convnext.report.contract import Report
from edge_convnext.report.described import BoardReport, FileReport
from edge_convnext.report.manifest import read_manifest

pytest.importorskip("torch", reason="the build extra is not installed")


def test_a_bench_does_not_write_over_a_users_predictions(root, tmp_path):
    (tmp_path / "predictions.csv").write_text("mine")
    with pytest.raises(ArtifactError, match=r"predictions\.csv: would be removed"):
        bench_bundle(root / "tiny.ecb", tmp_path, ORT)
    assert (tmp_path / "predictions.csv").read_text() == "mine"


def test_a_bench_does_not_write_over_a_build(root):
    before = sha256_file(root / "build" / "report.json")
    with pytest.raises(ArtifactError, match="is a build's folder"):
        bench_bundle(root / "tiny.ecb", root / "build")
    assert sha256_file(root / "build" / "report.json") == before


@pytest.mark.parametrize("beside", ["nothing", "a folder called work", "another bench"])
@pytest.mark.parametrize("name", ["model.int8.onnx", "model.fp16.engine", "predictions.csv"])
def test_a_bench_removes_no_model_that_no_bench_wrote(root, measured, tmp_path, name, beside):
    if beside == "a folder called work":
        (tmp_path / "work").mkdir()
    elif beside == "another bench":
        report = Report.read(measured[1] / "report.json")
        report.model_copy(update={"outputs": ()}).write(tmp_path / "report.json")
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(ArtifactError, match="no bench wrote it"):
        bench_bundle(root / "tiny.ecb", tmp_path)
    assert (tmp_path / name).read_bytes() == b"mine"


def test_a_disk_that_fills_while_a_bench_writes_costs_nothing(
    root, measured, tmp_path, monkeypatch
):
    out = shutil.copytree(measured[1], tmp_path / "out")
    before = {path.name: sha256_file(path) for path in out.iterdir() if path.is_file()}

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "/elsewhere")

    monkeypatch.setattr(beside, "copy_atomic", full)
    with pytest.raises(ArtifactError, match=r"out: can't be written \(No space left on device\)"):
        bench_bundle(root / "tiny.ecb", out, ORT)
    assert {path.name: sha256_file(path) for path in out.iterdir() if path.is_file()} == before


class Local:
    """A board that is a folder of this machine."""

    name = "board"

    def __init__(self, folder, error=None):
        self.folder, self.error = folder, error

    def stream(self, command):
        path = self.folder / Path(command.removeprefix("exec cat ").strip("'")).name
        if self.error is not None and path.name == "report.md":
            raise self.error
        yield path.read_bytes()


def fetch(host, bundle, out):
    return Session(host, bundle, (), give_up_s=0.0)._take("/board", out)


def test_what_a_board_sends_replaces_an_earlier_bench_as_a_whole(root, measured, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(measured[1], out, ignore=shutil.ignore_patterns("work"))
    (out / "notes.txt").write_text("mine")
    (out / "predictions.csv").write_bytes(b"of an older bench")
    older = Report.read(out / "report.json")
    older.model_copy(update={"banner": "older"}).write(out / "report.json")
    before = {path.name: sha256_file(path) for path in out.iterdir()}
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ArtifactError, match="what was there is as it was"):
        fetch(Local(measured[1], full), root / "tiny.ecb", out)
    assert {path.name: sha256_file(path) for path in out.iterdir()} == before
    assert fetch(Local(measured[1]), root / "tiny.ecb", out) == measured[0]
    assert (out / "notes.txt").read_text() == "mine"
    for file in measured[0].outputs:
        assert sha256_file(out / file.path) == file.sha256
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_board_s_report_can_t_name_a_users_file(root, measured, tmp_path):
    board, out = shutil.copytree(measured[1], tmp_path / "board"), tmp_path / "out"
    (board / "notes.txt").write_text("theirs")
    outputs = (FileReport.of(board / "notes.txt", board),)
    measured[0].model_copy(update={"outputs": outputs}).write(board / "report.json")
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"names 'notes\.txt', which is no file of it"):
        fetch(Local(board), root / "tiny.ecb", out)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
    assert (out / "notes.txt").read_text() == "mine"


def test_a_users_model_in_the_folder_of_a_board_is_not_replaced(root, measured, tmp_path):
    (tmp_path / "model.int8.onnx").write_bytes(b"mine")
    with pytest.raises(ArtifactError, match="no bench wrote it"):
        fetch(Local(measured[1]), root / "tiny.ecb", tmp_path)
    assert (tmp_path / "model.int8.onnx").read_bytes() == b"mine"


REPORT = example_report(
    board=BoardReport(name="orin", bundle_sha256="a" * 64, graphs=(), ships="model.int8.onnx")
)


TABLES = {"predictions.csv": lambda path: path.write_text("a table")}


@pytest.fixture
def models(tmp_path):
    path = tmp_path / "graph"
    path.write_text("a graph")
    return {"model.int8.onnx": path}


def test_the_report_names_the_files_beside_it_and_the_manifest_names_all(tmp_path, models):
    out = tmp_path / "out"
    out.mkdir()
    written = publish_board(Beside(models, TABLES), REPORT, out)
    assert [one.path for one in written.outputs] == ["model.int8.onnx", "predictions.csv"]
    assert Report.read(out / "report.json") == written
    assert set(read_manifest(out)) == {
        "model.int8.onnx", "predictions.csv", "report.json", "report.md", "report.html",
    }  # fmt: skip
    assert "orin" in (out / "report.md").read_text()
    assert "orin" in (out / "report.html").read_text()


def test_an_older_bench_is_replaced_and_a_users_file_is_not(tmp_path, models):
    out = tmp_path / "out"
    out.mkdir()
    publish_board(Beside(models, TABLES), REPORT, out)
    assert find_old(out) == {
        *("model.int8.onnx", "predictions.csv", "report.json", "report.md", "report.html"),
        "manifest.json",
    }  # fmt: skip
    publish_board(Beside(models), REPORT, out)
    assert not (out / "predictions.csv").exists()
    (out / "predictions.csv").write_text("mine")
    with pytest.raises(ArtifactError, match=r"predictions\.csv: would be removed, and no bench"):
        publish_board(Beside(models), REPORT, out)


def test_a_bench_ships_graphs_and_engines_with_their_sidecars():
    assert {"model.int8.engine", "model.int8.engine.json", "model.fp16.onnx"} <= set(OWN_FILES)

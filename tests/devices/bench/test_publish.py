"""A bench's folder: the file that ships, the report of it, and what may be replaced."""

import pytest
from support.example_report import example_report

from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.bench.publish import OWN_FILES, find_old, publish_board
from edge_convnext.report.beside import Beside
from edge_convnext.report.contract import BoardReport, Report
from edge_convnext.report.manifest import read_manifest

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
        "model.int8.onnx", "predictions.csv", "report.json", "report.md",
    }  # fmt: skip
    assert "orin" in (out / "report.md").read_text()


def test_an_older_bench_is_replaced_and_a_users_file_is_not(tmp_path, models):
    out = tmp_path / "out"
    out.mkdir()
    publish_board(Beside(models, TABLES), REPORT, out)
    assert find_old(out) == {
        "model.int8.onnx", "predictions.csv", "report.json", "report.md", "manifest.json",
    }  # fmt: skip
    publish_board(Beside(models), REPORT, out)
    assert not (out / "predictions.csv").exists()
    (out / "predictions.csv").write_text("mine")
    with pytest.raises(ArtifactError, match=r"predictions\.csv: would be removed, and no bench"):
        publish_board(Beside(models), REPORT, out)


def test_a_bench_ships_graphs_and_engines_with_their_sidecars():
    assert {"model.int8.engine", "model.int8.engine.json", "model.fp16.onnx"} <= set(OWN_FILES)

"""Files beside a report: copied and written under their names, where the disk has room."""

import shutil
from types import SimpleNamespace

import pytest

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.beside import Beside


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "cache" / "graph"
    path.parent.mkdir()
    path.write_text("a graph")
    return path


def test_models_are_copied_and_tables_written_under_their_names(tmp_path, source):
    new = tmp_path / "new"
    new.mkdir()
    tables = {"predictions.csv": lambda path: path.write_text("a table")}
    made = Beside({"gpu/int8.onnx": source}, tables).write(new, tmp_path)
    assert made == [new / "gpu/int8.onnx", new / "predictions.csv"]
    assert [path.read_text() for path in made] == ["a graph", "a table"]
    assert source.exists()


def test_without_room_nothing_is_written(tmp_path, source, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    new = tmp_path / "new"
    new.mkdir()
    with pytest.raises(ArtifactError, match="are free on its disk"):
        Beside({"a": source}).write(new, tmp_path)
    assert list(new.iterdir()) == []

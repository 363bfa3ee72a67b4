import errno

import pytest

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report import beside
from edge_convnext.report.beside import Beside


def test_models_are_copied_and_tables_written_under_their_names(tmp_path):
    (tmp_path / "a").write_bytes(b"model")
    (tmp_path / "new").mkdir()
    tables = {"t.csv": lambda path: path.write_text("table")}
    files = Beside({"model.onnx": tmp_path / "a"}, tables).write(tmp_path / "new", tmp_path)
    assert files == [tmp_path / "new" / "model.onnx", tmp_path / "new" / "t.csv"]
    assert [path.read_text() for path in files] == ["model", "table"]


def test_room_is_asked_for_before_anything_is_written(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"12345")
    asked = []

    def full(folder, size_bytes):
        asked.append((folder, size_bytes))
        raise ArtifactError(f"no room {errno.ENOSPC}")

    monkeypatch.setattr(beside, "require_room", full)
    (tmp_path / "new").mkdir()
    with pytest.raises(ArtifactError):
        Beside({"x": tmp_path / "a", "y": tmp_path / "a"}).write(tmp_path / "new", tmp_path)
    assert asked == [(tmp_path, 10)]
    assert list((tmp_path / "new").iterdir()) == []

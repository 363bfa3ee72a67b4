import pytest
from support.fake_tensorrt import write_engine

from edge_convnext.core.errors import ArtifactError
from edge_convnext.measure.model import load_model
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.runtimes.tensorrt.sidecar import sidecar_path


def test_a_missing_or_damaged_sidecar_is_said(load, tmp_path):
    path = tmp_path / "alone.engine"
    with pytest.raises(ArtifactError, match="no such engine"):
        load_model(path)
    path.write_bytes(b"plan")
    with pytest.raises(ArtifactError, match="keep the two together"):
        load_model(path)
    (tmp_path / "alone.engine.json").write_text('{"schema": "edge-convnext/engine/2"}')
    with pytest.raises(ArtifactError, match="of an older version"):
        load_runtime("tensorrt", path)


@pytest.mark.parametrize(
    "changes",
    [
        {"runtime": "antigravity"},
        {"precision": "int3"},
        {"batch": "4"},
        {"model": [1]},
        {"batch": None, "profile": {"max": []}},
    ],
)
def test_a_sidecar_with_values_that_no_builder_writes_is_refused(tmp_path, changes):
    path = write_engine(tmp_path / "m.engine", **changes)
    with pytest.raises(ArtifactError, match="damaged, or of an older version"):
        load_model(path)


def test_a_sidecar_nested_without_end_is_refused(tmp_path):
    path = write_engine(tmp_path / "m.engine")
    sidecar_path(path).write_text("[" * 100_000)
    with pytest.raises(ArtifactError, match="damaged"):
        load_model(path)

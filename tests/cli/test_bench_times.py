import json
import shutil

import pytest

from edge_convnext.cli.bench_times import ExportedTimes
from edge_convnext.core.errors import ArtifactError


def test_every_time_of_a_race_is_in_the_file(call, models, tmp_path):
    line = ("bench", models / "dynamic.onnx", "--runtime", "onnxruntime", "--rounds", 3)
    code, out, _ = call(*line, "--batch", 1, "--batch", 2, "--export-times", "times.json", "--json")
    assert code == 0
    rows = json.loads(out)["rows"]
    found = json.loads((tmp_path / "times.json").read_text())
    assert found["schema"] == "edge-convnext/times/1"
    assert [(one["artifact"], one["batch"]) for one in found["rows"]] == [
        (one["artifact"], one["batch"]) for one in rows
    ]
    for one, row in zip(found["rows"], rows, strict=True):
        assert len(one["rounds"]) == 3
        assert sum(map(len, one["rounds"])) == row["samples"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--profile",), "leave out --profile"),
        (("--mode", "throughput"), "leave out --mode"),
    ],
)
def test_without_a_race_it_is_refused_before_any_work(call, models, tmp_path, flags, words):
    line = ("bench", models / "dynamic.onnx", "--export-times", "times.json")
    code, out, err = call(*line, *flags)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert words in err
    assert not (tmp_path / "times.json").exists()


def test_a_place_that_can_not_be_written_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="is a folder; name a file in it"):
        ExportedTimes(tmp_path).refuse_without_race(False)
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="can't be written"):
        ExportedTimes(tmp_path / "file" / "times.json").refuse_without_race(False)
    with pytest.raises(ArtifactError, match=r"there is no folder .*make it, or choose"):
        ExportedTimes(tmp_path / "new" / "times.json").refuse_without_race(False)
    assert not (tmp_path / "new").exists()
    ExportedTimes(tmp_path / "times.json").refuse_without_race(False)
    ExportedTimes().refuse_without_race("--profile")


def test_a_model_is_not_replaced_by_its_times(call, models, tmp_path):
    shutil.copy(models / "dynamic.onnx", tmp_path / "m.onnx")
    before = (tmp_path / "m.onnx").read_bytes()
    code, out, err = call("bench", "m.onnx", "--export-times", tmp_path / "m.onnx")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "is read by this command" in err
    assert (tmp_path / "m.onnx").read_bytes() == before

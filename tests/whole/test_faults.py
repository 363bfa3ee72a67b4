"""A reduced run of `benchmarks/faults.py`, and what the full one found."""

import contextlib
import json
import os
import subprocess
import sys

import pytest
from support.paths import ROOT

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("nncf", reason="the build extra is not installed")

from benchmarks.faultlab.kills import Row
from benchmarks.faultlab.record import Record
from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import ArtifactError
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.weights import save_weights
from edge_convnext.report.folder import check_writable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, /proc")


@pytest.mark.slow
def test_a_reduced_run_survives(tmp_path):
    line = [sys.executable, "-m", "benchmarks.faults", "--reduced"]
    line += ["--out", str(tmp_path / "out.json")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    run = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert len(rows) == 3
    assert all(row["survived"] == row["tried"] > 0 for row in rows)


def row(hit, longest=1.0):
    notes = {"killed_in": hit, "longest_until_the_end_s": longest, "failures": []}
    return Row("kill -9, board", sum(hit.values()), sum(hit.values()), 1.5, notes)


def test_a_stopped_run_goes_on_and_a_torn_line_is_dropped(tmp_path):
    out, settings = tmp_path / "out.json", {"seed": 0, "kills": 4}
    record = Record(out, settings)
    record.add("a", row({"fold": 2, "load": 0}))
    record.add("b", None, "not permitted")
    with out.with_suffix(".jsonl").open("a") as file:
        file.write('{"part": "c", "ro')
    again = Record(out, settings)
    assert set(again.parts) == {"a", "b"}
    again.add("c", row({"fold": 1, "load": 1}, longest=0.5))
    content = json.loads(out.read_text())
    assert content["kills_per_stage"] == {"fold": {"board": 3}, "load": {"board": 1}}
    assert content["never_killed_in"] == []
    assert content["skipped"] == {"b": "not permitted"}
    (joined,) = content["rows"]
    assert (joined["tried"], joined["seconds"]) == (4, 3.0)
    assert joined["notes"]["longest_until_the_end_s"] == 1.0


def test_results_of_two_kinds_are_not_mixed(tmp_path):
    Record(tmp_path / "out.json", {"seed": 0})
    with pytest.raises(SystemExit, match="is of other seed"):
        Record(tmp_path / "out.json", {"seed": 1})


@contextlib.contextmanager
def no_file_over(size_bytes):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_weights_that_do_not_fit_on_the_disk_are_one_line(tmp_path):
    shape = Architecture("small", 2, (1, 1, 1, 1), (4, 6, 8, 10), 3)
    info = ModelInfo("small", 3, 3, (), Preprocess(32), "x", "0" * 64, None)
    state = random_state(shape, 0)
    with no_file_over(1000), pytest.raises(ArtifactError, match=r"can't be written.*free some"):
        save_weights(state, shape, info, tmp_path / "weights.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_the_trial_of_an_output_folder_leaves_nothing(tmp_path):
    check_writable(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []

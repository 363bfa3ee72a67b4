"""A build killed at any moment: the next one completes, with the same bytes."""

import signal
import subprocess
import sys
import time

import pytest
from builds import MAIN, environment, run_command, scratch, write_checkpoint, write_images

pytest.importorskip("torch", reason="the build extra is not installed")

from edge_convnext.report import Report

CLASSES = ("ant", "bee", "cat")
# Nothing is timed for this target, so two graph forms are enough.
LINE = ("build", "--weights", "weights.pth", "--data", "images", "--image-size", 32,
        "--calibration-size", 6, "--target", "tensorrt", "--engine-batch", 1)  # fmt: skip
PATIENCE_S = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("interruption")
    counts = {f"{side}/{name}": 4 for side in ("train", "val") for name in CLASSES}
    write_images(root / "images", counts)
    write_checkpoint(root / "weights.pth", len(CLASSES))
    return root


def finish(folder, cache, out):
    result = run_command(*LINE, "--out", out, cwd=folder, cache=cache)
    assert result.returncode == 0, result.stderr
    return Report.read(folder / out / "report.json")


def entries(cache, stage):
    return list((cache / stage).glob("*/entry.json"))


def kill_during(stage, folder, cache):
    """Start a build, and kill it while it works on `stage`."""
    line = [sys.executable, "-c", MAIN, *map(str, LINE), "--out", "killed"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    build = subprocess.Popen(line, cwd=folder, env=environment(cache), **quiet)
    try:
        deadline = time.monotonic() + PATIENCE_S
        # A stage's folder is made when its work begins, its entry when that is whole.
        while not (cache / stage).is_dir():
            assert build.poll() is None, f"the build ended before {stage}"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)  # into the work
    finally:
        build.kill()
        build.wait()
    assert build.returncode == -signal.SIGKILL
    assert entries(cache, stage) == []
    assert len(scratch(cache)) >= 1
    assert not (folder / "killed").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_build_is_completed_from_where_it_was(folder, tmp_path):
    whole = finish(folder, tmp_path / "whole", "whole")
    cache = tmp_path / "killed"
    kill_during("export", folder, cache)
    kill_during("place", folder, cache)  # the INT8 graph's, before the FP16 one is exported
    report = finish(folder, cache, "completed")
    assert {stage.name: stage.status for stage in report.stages} == {
        "load": "cached",
        "fold": "cached",
        "export": "done",
        "simplify": "done",
        "approximate": "not_run",
        "equalize": "not_run",
        "lower": "not_run",
        "quantize": "done",
        "recover": "not_run",
        "typed": "done",
        "engine": "not_run",
        "evaluate": "done",
        "benchmark": "not_run",
    }
    graphs = ("int8.b1", "int8.b1.opset17", "fp16.b1", "fp32.b1.opset17")
    names = {"model.fp32.onnx", "model.int8.onnx", "calibration.csv", "predictions.csv"}
    names |= {f"gpu/{name}.onnx" for name in graphs}
    made = {file.path: file.sha256 for file in report.outputs}
    assert made.keys() == names
    assert made == {file.path: file.sha256 for file in whole.outputs}
    again = finish(folder, cache, "again")
    assert {file.path: file.sha256 for file in again.outputs} == made
    assert again.stage("quantize").status == "cached"

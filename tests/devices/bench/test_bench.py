"""Bundles, what a board makes of them, and the way back into the build's report."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support.bench_boards import ORT, Builder
from support.board_builds import build_tiny
from support.builds import run_command

from edge_convnext.core.errors import (
    ArtifactError,
)
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bench import bench, bench_bundle
from edge_convnext.devices.bundle import write
from edge_convnext.devices.bundle.manifest import (
    SUFFIX,
)
from edge_convnext.devices.bundle.write import bundle_build, write_bundle
from edge_convnext.report.contract import (
    Report,
)
from edge_convnext.report.gate.decide import gate


def test_a_bundle_without_images_gets_a_speed_and_no_verdict(root, tmp_path):
    write_bundle(root / "build", tmp_path / "none.ecb", "none")
    report = bench_bundle(tmp_path / "none.ecb", tmp_path / "out", ORT)
    assert report.accuracy is None
    assert report.benchmark is not None
    assert report.stage("evaluate").status == "not_run"
    with pytest.raises(ArtifactError, match=r"no image was evaluated on this board.*--evaluation"):
        gate(tmp_path / "out")
    assert report.verdict.ship in ("undecided", "fp32")  # where INT8 is slower, speed settles it


def test_predictions_that_are_no_file_are_refused_at_once(root, tmp_path):
    build = shutil.copytree(root / "build", tmp_path / "build")
    (build / "predictions.csv").unlink()
    os.mkfifo(build / "predictions.csv")
    with pytest.raises(ArtifactError, match=r"predictions\.csv: Not a file, but a pipe"):
        write_bundle(build, tmp_path / "a.ecb")


@pytest.mark.parametrize("fails", [None, "fp16"])
def test_on_a_gpu_int8_has_to_beat_the_fp16_engine(tmp_path, ort_as_gpu, fails):
    """With a builder that copies the graph, and ONNX Runtime in the GPU's place."""
    write_bundle(build_tiny(tmp_path, gpu=True), tmp_path / "gpu.ecb")
    builder = Builder(fails=fails)
    report = bench_bundle(
        tmp_path / "gpu.ecb",
        tmp_path / "out",
        replace(ORT, batches=(1, 2)),
        builders=[builder],
    )
    rows = {(row.artifact, row.batch) for row in report.benchmark.rows if row.batch == 1}
    assert ("gpu/int8.b1.onnx tensorrt", 1) in rows
    assert ("gpu/fp16.b2.onnx tensorrt", 1) not in rows  # of batch 2 alone
    engines = report.stage("engine").variants
    assert {one.precision for one in engines} == {"int8", "fp16"} - {fails}
    left_out = {one.artifact for one in report.board.left_out}
    assert ("gpu/fp16.b1.onnx tensorrt" in left_out) is bool(fails)
    if fails and "tensorrt" in report.benchmark.chosen:
        assert report.benchmark.speedup_vs_best_float is None
        assert "No FP16 engine" in " ".join(report.verdict.reasons)
    for file in report.outputs:
        assert sha256_file(tmp_path / "out" / file.path) == file.sha256


def test_where_no_engine_is_built_the_reason_is_told_once(tmp_path, monkeypatch):
    why = "no TensorRT is installed here"
    monkeypatch.setattr(bench, "find_builders", lambda: ((), why))
    write_bundle(build_tiny(tmp_path, gpu=True), tmp_path / "gpu.ecb", "none")
    report = bench_bundle(tmp_path / "gpu.ecb", tmp_path / "out", replace(ORT, batches=(1,)))
    assert {one.reason for one in report.board.left_out} == {why}
    assert (tmp_path / "out" / "report.md").read_text().count(why) == 1
    assert report.stage("engine").reason == why


def test_one_batch_size_can_be_measured_alone_and_decides(tmp_path, ort_as_gpu):
    write_bundle(build_tiny(tmp_path, gpu=True), tmp_path / "gpu.ecb")
    builder = Builder()
    report = bench_bundle(
        tmp_path / "gpu.ecb", tmp_path / "out", replace(ORT, batches=(2,)), builders=[builder]
    )
    assert [name for name, _, _ in builder.built] == ["gpu/fp16.b2.onnx"]  # no engine for nothing
    assert {row.batch for row in report.benchmark.rows} == {2}
    assert report.benchmark.speedup_vs_best_float is not None
    assert "at batch 2" in report.verdict.reasons[0]


def test_on_a_board_nothing_but_the_light_core_is_imported(root, tmp_path):
    """Where torch is not installed, the bench still runs."""
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('torch', 'nncf', 'onnxscript', 'sklearn')))\n"
        "from edge_convnext.cli import main; main()"
    )
    arguments = ["bench", root / "tiny.ecb", "-o", tmp_path / "out", "--json", "--rounds", "1",
                 "--runtime", "onnxruntime"]  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["board"]["bundle_sha256"]
    assert Report.read(tmp_path / "out" / "report.json").verdict.ship == "undecided"  # one round


def test_the_command_line_says_what_is_wrong_in_one_line(root, tmp_path):
    bundle = root / "tiny.ecb"
    for arguments in (
        ("bench", tmp_path / "none.ecb"),
        ("bench", bundle, bundle),
        ("merge", root / "build", tmp_path / "none"),
        ("bundle", tmp_path, "-o", tmp_path / "x.ecb"),
    ):
        result = run_command(*arguments, cwd=tmp_path, cache=tmp_path / "cache")
        assert result.returncode == 3, result.stderr
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


def test_the_bundle_of_a_build_lies_in_it_under_its_name(tmp_path, monkeypatch):
    folder = tmp_path / "atto.v2"
    folder.mkdir()
    monkeypatch.setattr(write, "write_bundle", lambda _, output, **__: output.touch())
    assert bundle_build(folder) == folder / f"atto.v2{SUFFIX}"
    monkeypatch.chdir(folder)
    assert bundle_build(Path()) == Path(f"atto.v2{SUFFIX}")
    assert [path.name for path in folder.iterdir()] == [f"atto.v2{SUFFIX}"]

import shutil
from dataclasses import replace

import numpy as np
import pytest
from support import gate_builds
from support.bench_boards import ORT, N
from support.board_builds import CLASSES
from support.races import candidate

from edge_convnext.core.errors import ArtifactError, InferenceError
from edge_convnext.core.progress import untracked
from edge_convnext.devices.bench import bench, bench_bundle, measure
from edge_convnext.devices.bench.merge import merge_boards
from edge_convnext.devices.bundle import open_bundle
from edge_convnext.devices.bundle.write import write_bundle
from edge_convnext.graph.findings import Finding
from edge_convnext.report.contract import Report
from edge_convnext.report.described import FileReport

pytest.importorskip("torch", reason="the build extra is not installed")


def test_an_interrupted_bench_goes_on_from_the_logits_it_has(root, measured, tmp_path, monkeypatch):
    shutil.copytree(measured[1] / "work", tmp_path / "out" / "work")
    loads = []
    real = bench.evaluate_candidates

    def watch(candidates, evaluation, *rest):
        monkeypatch.setattr(type(evaluation), "batches", lambda *_: loads.append(1) or iter(()))
        return real(candidates, evaluation, *rest)

    monkeypatch.setattr(bench, "evaluate_candidates", watch)
    report = bench_bundle(root / "tiny.ecb", tmp_path / "out", ORT)
    assert loads == []  # no image was read again
    assert report.accuracy == measured[0].accuracy


class Overflowing:
    """Gives the images from `start` on no numbers."""

    def __init__(self, start):
        self.start = start

    def infer(self, images):
        logits = np.tile(images.mean(axis=(1, 2, 3))[:, None], len(CLASSES))
        logits[self.start :] = np.nan
        return logits.astype(np.float32)


def test_what_gives_no_numbers_is_left_out_and_the_rest_is_measured(root, tmp_path, monkeypatch):
    evaluation = open_bundle(root / "tiny.ecb").unpack(tmp_path / "unpacked").evaluation()
    images = next(evaluation.batches(4))
    starts = {"whole": N, "from the first": 0, "later": 5}
    candidates = [candidate(name) for name in starts]
    monkeypatch.setattr(measure, "load_candidate", lambda one, *_: Overflowing(starts[one.name]))
    kept, refused = measure.try_candidates(candidates, images, None)
    assert [one.name for one in kept] == ["whole", "later"]
    assert "1 of 1 images got infinite or undefined logits in from the first" in refused[0].reason
    arguments = (evaluation, N, None, tmp_path, {}, untracked)
    found, refused = measure.evaluate_candidates(kept, *arguments)
    assert list(found) == ["whole"]
    assert [one.artifact for one in refused] == ["later"]
    assert f"{N - 5} of {N} images got infinite" in refused[0].reason
    with pytest.raises(ArtifactError, match=f"can be used here: {N - 5} of {N} images got"):
        measure.evaluate_candidates(kept[1:], *arguments)


def test_what_does_not_run_is_told_with_what_lint_knows_of_it(root, tmp_path, monkeypatch):
    unpacked = open_bundle(root / "tiny.ecb").unpack(tmp_path / "unpacked")
    images = next(iter(unpacked.evaluation().batches(1)))

    def load(one, *_):
        if one.name != "runs":
            raise InferenceError("Axis 139 out of the range")
        return Overflowing(N)

    def lint(_path, target):
        found = Finding("reduced-axes", "error", "a/ReduceSum", "two axes", "use nhwc")
        return (replace(found, severity="warning"), found) if target == "openvino-x" else ()

    monkeypatch.setattr(measure, "load_candidate", load)
    monkeypatch.setattr(measure, "lint", lint)
    targets = {"openvino": ("openvino", "openvino-x"), "onnxruntime": ("onnxruntime",)}
    monkeypatch.setattr(measure, "targets_here", targets.__getitem__)
    names = ("runs", "known", "unknown", "engine")
    runtimes = ("onnxruntime", "openvino", "onnxruntime", "tensorrt")
    candidates = [candidate(*one) for one in zip(names, names, strict=True)]
    candidates = [
        replace(one, runtime=runtime) for one, runtime in zip(candidates, runtimes, strict=True)
    ]
    _, refused = measure.try_candidates(candidates, images, None)
    assert [one.reason for one in refused] == [
        "a/ReduceSum: reduced-axes: two axes; use nhwc (Axis 139 out of the range)",
        "Axis 139 out of the range", "Axis 139 out of the range",
    ]  # fmt: skip


def test_logits_are_kept_for_their_batch_and_threads_alone(root, tmp_path, monkeypatch):
    evaluation = open_bundle(root / "tiny.ecb").unpack(tmp_path / "unpacked").evaluation()
    loads = []

    def load(one, batch, threads):
        loads.append((batch, threads))
        return Overflowing(N)

    monkeypatch.setattr(measure, "load_candidate", load)
    settings = [(N, None), (N, None), (N - 1, None), (N, 2), (N, 2)]
    for batch, threads in settings:
        arguments = (evaluation, batch, threads, tmp_path, {}, untracked)
        measure.evaluate_candidates([candidate("whole")], *arguments)
    assert loads == [(N, None), (N - 1, None), (N, 2)]


def test_a_board_races_the_graphs_of_each_runtime(root, tmp_path):
    build = shutil.copytree(root / "build", tmp_path / "build")
    (build / "cpu").mkdir()
    name = "cpu/int8.onnxruntime.onnx"
    shutil.copy(build / "model.int8.onnx", build / name)
    shutil.copy(build / "model.int8.onnx", build / "cpu" / "mine.onnx")  # the user's own
    report = Report.read(build / "report.json")
    rows = (*report.outputs, FileReport.of(build / name, build))
    gate_builds.write_report(report.model_copy(update={"outputs": rows}), build / "report.json")
    write_bundle(build, tmp_path / "a.ecb")
    graphs = {graph.name: graph for graph in open_bundle(tmp_path / "a.ecb").manifest.graphs}
    assert set(graphs) == {"model.fp32.onnx", "model.int8.onnx", name}
    assert (graphs[name].kind, graphs[name].precision) == ("cpu", "int8")
    measured = bench_bundle(tmp_path / "a.ecb", tmp_path / "out", replace(ORT, rounds=1))
    assert f"{name} onnxruntime f32" in {row.artifact for row in measured.benchmark.rows}
    merge_boards(build, [tmp_path / "out"])
    (build / name).write_bytes((build / "model.fp32.onnx").read_bytes())
    with pytest.raises(ArtifactError, match=r"cpu/int8\.onnxruntime\.onnx: is not the file"):
        write_bundle(build, tmp_path / "b.ecb")

"""Bundles, what a board makes of them, and the way back into the build's report."""

import contextlib
import errno
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support import gate_builds
from support.board_builds import CLASSES, PER_CLASS, build_tiny, bundle_tiny
from support.builds import run_command
from support.races import candidate

from edge_convnext.cli.build import _measure_here
from edge_convnext.core.errors import (
    ArtifactError,
    BoardError,
    DataError,
    EngineBuildError,
    RecipeError,
)
from edge_convnext.core.files import sha256_bytes, sha256_file
from edge_convnext.core.marks import mark
from edge_convnext.core.progress import untracked
from edge_convnext.devices.bench import BoardSettings, bench, bench_bundle, here, measure
from edge_convnext.devices.bench import report as assemble
from edge_convnext.devices.bench.choose import choose
from edge_convnext.devices.bench.engines import build_engines, graphs_for
from edge_convnext.devices.bench.here import builders_for, measure_here
from edge_convnext.devices.bench.merge import merge_boards
from edge_convnext.devices.bench.readings import NoReadings, PowerFigures
from edge_convnext.devices.bundle import evaluation, open_bundle, write
from edge_convnext.devices.bundle.evaluation import read_reference
from edge_convnext.devices.bundle.manifest import (
    MANIFEST,
    SUFFIX,
    TENSORS,
    BundledGraph,
    check_name,
)
from edge_convnext.devices.bundle.write import bundle_build, write_bundle
from edge_convnext.devices.ssh.session import Session
from edge_convnext.measure import benchmark as benchmark_module
from edge_convnext.measure import candidates as candidates_module
from edge_convnext.measure.speed import speedup
from edge_convnext.measure.timings import BenchmarkResult, TimedRow
from edge_convnext.report import beside
from edge_convnext.report.contract import (
    FileReport,
    LeftOutReport,
    Report,
    StageReport,
    VariantReport,
)
from edge_convnext.report.folder import amend_report, write_report
from edge_convnext.report.gate.baseline import make_baseline
from edge_convnext.report.gate.decide import gate, judge
from edge_convnext.report.gate.evidence import read_evidence
from edge_convnext.report.gate.limits import Limits
from edge_convnext.report.manifest import read_manifest, verify_build

N = PER_CLASS * len(CLASSES)
ORT = BoardSettings(runtimes=("onnxruntime",), rounds=6)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    bundle_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def measured(root):
    """One bench of the bundle: its report and folder."""
    return bench_bundle(root / "tiny.ecb", root / "b1", ORT), root / "b1"


@pytest.fixture(autouse=True)
def without_children(monkeypatch):
    """`measured`, which is made before this, has its memory measured; once is enough."""
    monkeypatch.setattr(benchmark_module, "_try_memory", lambda *_: None)


def repack(source, target, change=None, add=(), infos=None):
    """Write a bundle again with members changed, and no other care."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if change and info.filename in change:
                data = change[info.filename](data)
            if data is not None:
                new.writestr(infos(info) if infos else info, data)
        for info, data in add:
            new.writestr(info, data)
    return target


def edit_manifest(**changes):
    def edit(data):
        return json.dumps({**json.loads(data), **changes}).encode()

    return {MANIFEST: edit}


def test_equal_builds_give_equal_bytes_and_a_bundle_opens_to_what_was_put_in(root, tmp_path):
    again = tmp_path / "again.ecb"
    write_bundle(root / "build", again)
    assert again.read_bytes() == (root / "tiny.ecb").read_bytes()
    unpacked = open_bundle(again).unpack(tmp_path / "out")
    assert unpacked.report == Report.read(root / "build" / "report.json")
    assert [graph.name for graph in unpacked.manifest.graphs] == [
        "model.fp32.onnx",
        "model.int8.onnx",
    ]
    for graph in unpacked.manifest.graphs:
        original = root / "build" / graph.name
        assert sha256_file(unpacked.graph_path(graph)) == sha256_file(original)
    assert len(unpacked.evaluation()) == N
    # What is there is kept, what was damaged is written again.
    victim = unpacked.graph_path(unpacked.manifest.graphs[0])
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    open_bundle(again).unpack(tmp_path / "out")
    assert sha256_file(victim) == sha256_file(root / "build" / "model.fp32.onnx")


def test_pixels_and_files_are_the_same_input(root, tmp_path):
    write_bundle(root / "build", tmp_path / "t.ecb", "tensors")
    as_tensors = open_bundle(tmp_path / "t.ecb").unpack(tmp_path / "t").evaluation()
    as_images = open_bundle(root / "tiny.ecb").unpack(tmp_path / "i").evaluation()
    assert as_tensors.pixels.dtype == np.uint8
    for left, right in zip(as_tensors.batches(4), as_images.batches(4), strict=True):
        np.testing.assert_array_equal(left, right)
    assert as_tensors.reference.sha256s == as_images.reference.sha256s


def test_a_bundle_without_images_gets_a_speed_and_no_verdict(root, tmp_path):
    write_bundle(root / "build", tmp_path / "none.ecb", "none")
    report = bench_bundle(tmp_path / "none.ecb", tmp_path / "out", ORT)
    assert report.accuracy is None
    assert report.benchmark is not None
    assert report.stage("evaluate").status == "not_run"
    with pytest.raises(ArtifactError, match=r"no image was evaluated on this board.*--evaluation"):
        gate(tmp_path / "out")
    assert report.verdict.ship in ("undecided", "fp32")  # where INT8 is slower, speed settles it


@pytest.mark.parametrize(
    "name",
    ["../x.json", "/etc/x.json", "a/../x.json", "a//x.json", ".x.json", "a\\x.json", "x.py",
     "x.sh", "x.pkl", "x", "a" * 300 + ".json"],
)  # fmt: skip
def test_names_that_leave_the_folder_or_run_are_refused(name):
    with pytest.raises(ValueError, match="is no "):
        check_name(name)


def special(mode):
    info = zipfile.ZipInfo("models/x.onnx")
    info.external_attr = mode << 16
    return info


def deflated(info):
    other = zipfile.ZipInfo(info.filename)
    other.compress_type = zipfile.ZIP_DEFLATED
    return other


def escape(data):
    fields = json.loads(data)
    fields["members"][0]["name"] = "../../escape.json"
    return json.dumps(fields).encode()


def enlarge(data):
    fields = json.loads(data)
    fields["preprocess"]["image_size"] = 10**6  # a terabyte for one image
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"change": {"recipe.yaml": lambda data: data[:-1]}}, "not as the manifest says"),
        ({"change": {MANIFEST: lambda _: None}}, "not a bundle"),
        ({"change": {MANIFEST: lambda _: b"\xff{"}}, "not JSON"),
        ({"change": {MANIFEST: lambda _: b"[" * 100_000}}, "not JSON"),
        ({"change": edit_manifest(schema="edge-convnext/bundle/9")}, "edge-convnext/bundle/9"),
        ({"change": edit_manifest(further=1)}, "bad manifest"),
        ({"change": edit_manifest(members=[])}, "bad manifest"),
        ({"change": {MANIFEST: escape}}, "no name of a bundle's member"),
        ({"change": {MANIFEST: enlarge}}, "image_size"),
        ({"add": [(zipfile.ZipInfo("extra.json"), b"{}")]}, "'extra.json'"),
        ({"add": [(special(stat.S_IFLNK | 0o777), b"/etc/passwd")]}, "plain file"),
        ({"add": [(special(stat.S_IFREG | 0o755), b"#!")]}, "plain file"),
        ({"infos": deflated}, "plain file"),
    ],
)  # fmt: skip
def test_a_bundle_that_is_not_one_is_refused_and_nothing_is_unpacked(
    root, tmp_path, options, reason
):
    bad = repack(root / "tiny.ecb", tmp_path / "bad.ecb", **options)
    with pytest.raises(ArtifactError, match=reason) as caught:
        bench_bundle(bad, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_flipped_byte_is_found_where_it_lies(root, tmp_path):
    whole = (root / "tiny.ecb").read_bytes()
    place = whole.index((root / "build" / "model.int8.onnx").read_bytes()) + 5_000
    bad = tmp_path / "bad.ecb"
    bad.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx.*damaged"):
        open_bundle(bad).unpack(tmp_path / "out")
    assert not (tmp_path / "out" / "models" / "model.int8.onnx").exists()


def test_a_graph_of_a_bundle_is_checked_before_a_runtime_gets_it(root, tmp_path):
    name = "models/model.fp32.onnx"
    proto = onnx.load(root / "build" / "model.fp32.onnx")
    proto.graph.node[0].op_type = "Loop"
    data = proto.SerializeToString()

    def swap(manifest):
        fields = json.loads(manifest)
        entry = next(one for one in fields["members"] if one["name"] == name)
        entry |= {"sha256": sha256_bytes(data), "bytes": len(data)}
        return json.dumps(fields).encode()

    bad = repack(root / "tiny.ecb", tmp_path / "bad.ecb", {name: lambda _: data, MANIFEST: swap})
    with pytest.raises(ArtifactError, match="operation Loop, which no build writes"):
        bench_bundle(bad, tmp_path / "out", ORT)


def replace_member(root, output, name, edit):
    """The bundle with another content of one member, and a manifest that answers for it."""
    made = {}

    def change(data):
        made["data"] = edit(data)
        return made["data"]

    def answer_for(manifest):
        fields = json.loads(manifest)
        entry = next(one for one in fields["members"] if one["name"] == name)
        with zipfile.ZipFile(root / "tiny.ecb") as archive:
            data = edit(archive.read(name))
        entry |= {"sha256": sha256_bytes(data), "bytes": len(data)}
        return json.dumps(fields).encode()

    return repack(root / "tiny.ecb", output, {name: change, MANIFEST: answer_for})


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("benchmark", "batches", [1_000_000]),
        ("benchmark", "batches", list(range(1, 100))),
        ("benchmark", "rounds", 10**9),
        ("benchmark", "min_round_ms", 10**9),
        ("benchmark", "warmup", 10**9),
        ("evaluate", "batch", 10**6),
    ],
)
def test_what_a_bundles_recipe_would_take_has_an_end(root, tmp_path, section, field, value):
    def edit(data):
        fields = json.loads(data)
        fields["recipe"][section][field] = value
        return json.dumps(fields).encode()

    bad = replace_member(root, tmp_path / "bad.ecb", "report.json", edit)
    with pytest.raises(
        RecipeError, match=rf"'{section}\.{field}' is .*: .*at most|less than"
    ) as told:
        bench_bundle(bad, tmp_path / "out", replace(ORT, rounds=None))
    assert "\n" not in str(told.value)


def change_manifest(edit):
    def change(data):
        fields = json.loads(data)
        edit(fields)
        return json.dumps(fields).encode()

    return change


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda fields: fields["graphs"][0].update(batch=10**6), "less than or equal to 4096"),
        (lambda fields: fields["model"].update(num_classes=10**9), "more classes or channels"),
        (lambda fields: fields["model"].update(in_channels=10**6), "more classes or channels"),
        (
            lambda fields: (
                fields["graphs"][0].update(batch=4096),
                fields["preprocess"].update(image_size=4096),
            ),
            "a batch of 4096 images of 4096 px takes",
        ),
    ],
)
def test_what_a_bundles_manifest_would_take_has_an_end(root, tmp_path, edit, reason):
    bad = repack(root / "tiny.ecb", tmp_path / "bad.ecb", {MANIFEST: change_manifest(edit)})
    with pytest.raises(ArtifactError, match=reason):
        open_bundle(bad)


def test_predictions_are_read_within_bounds(tmp_path, monkeypatch):
    path = tmp_path / "predictions.csv"
    head = "sha256,label,fp32_top1\n"
    path.write_text(head + "".join(f"{index},ant,dog\n" for index in range(11)))
    found = read_reference(path, CLASSES, len(CLASSES))
    assert found.labels.tolist() == [0] * 11
    assert found.logits.argmax(axis=1).tolist() == [CLASSES.index("dog")] * 11
    monkeypatch.setattr(evaluation, "_MOST_LOGITS", 50)
    with pytest.raises(ArtifactError, match="over 10 images of 5 classes are more than"):
        read_reference(path, CLASSES, len(CLASSES))
    monkeypatch.setattr(evaluation, "_MOST_BYTES", 20)
    with pytest.raises(ArtifactError, match="over 20 bytes"):
        read_reference(path, CLASSES, len(CLASSES))
    path.unlink()
    with pytest.raises(ArtifactError, match=r"predictions\.csv: No such file"):
        read_reference(path, CLASSES, len(CLASSES))
    os.mkfifo(path)
    with pytest.raises(ArtifactError, match="a pipe or a device"):
        read_reference(path, CLASSES, len(CLASSES))
    path.unlink()
    monkeypatch.undo()
    path.write_text(head + f"0,{'x' * 5000},dog\n")
    with pytest.raises(ArtifactError, match="not the predictions of this model") as told:
        read_reference(path, CLASSES, len(CLASSES))
    assert len(str(told.value)) < 600


def test_whatever_byte_of_a_bundle_flips_it_is_refused_or_read_whole(root, tmp_path):
    whole = (root / "tiny.ecb").read_bytes()
    directory = whole.index(b"PK\x01\x02")
    bad = tmp_path / "bad.ecb"
    places = [*range(directory, len(whole), 7), *range(60)]
    for place in places:
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 0xA5]) + whole[place + 1 :])
        with contextlib.suppress(ArtifactError):
            open_bundle(bad).unpack(tmp_path / "out")


def test_a_pipe_is_no_bundle(tmp_path):
    os.mkfifo(tmp_path / "x.ecb")
    with pytest.raises(ArtifactError, match="pipe"):
        open_bundle(tmp_path / "x.ecb")


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_a_bundle_cut_short_is_refused(root, tmp_path, kept):
    whole = (root / "tiny.ecb").read_bytes()
    cut = tmp_path / "cut.ecb"
    cut.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
    with pytest.raises(ArtifactError, match="cut short, or no bundle"):
        open_bundle(cut)


def test_an_array_with_a_pickle_in_it_is_not_loaded(root, tmp_path):
    write_bundle(root / "build", tmp_path / "t.ecb", "tensors")
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], dtype=object), allow_pickle=True)
    pickled = buffer.getvalue()

    def swap(data):
        fields = json.loads(data)
        for member in fields["members"]:
            if member["name"] == TENSORS:
                member.update(sha256=sha256_bytes(pickled), bytes=len(pickled))
        return json.dumps(fields).encode()

    bad = repack(
        tmp_path / "t.ecb", tmp_path / "p.ecb", {TENSORS: lambda _: pickled, MANIFEST: swap}
    )
    with pytest.raises(ArtifactError, match="not an array"):
        open_bundle(bad).unpack(tmp_path / "out").evaluation()


def test_a_build_that_was_changed_or_lost_its_images_is_not_bundled(root, tmp_path):
    shutil.copytree(root / "build", tmp_path / "build")
    out = tmp_path / "x.ecb"
    with pytest.raises(DataError, match="is not here; pass --data"):
        write_bundle(tmp_path / "build", out, data=tmp_path / "gone")
    shutil.copytree(root / "images", tmp_path / "moved")
    write_bundle(tmp_path / "build", out, data=tmp_path / "moved")
    assert out.read_bytes() == (root / "tiny.ecb").read_bytes()
    out.unlink()
    next((tmp_path / "moved").rglob("*.png")).write_bytes(b"another")
    with pytest.raises(DataError, match=f"1 of the {N} images"):
        write_bundle(tmp_path / "build", out, data=tmp_path / "moved")
    (tmp_path / "build" / "model.int8.onnx").write_bytes(b"another")
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx: is not the file"):
        write_bundle(tmp_path / "build", out)
    assert [path.name for path in tmp_path.glob("*.ecb*")] == []  # nor a scratch file


def test_the_boards_report_has_what_ran_there_and_says_what_did_not(measured):
    report, folder = measured
    assert Report.read(folder / "report.json") == report
    assert (folder / "report.md").read_text(encoding="utf-8").count("## Board") == 1
    assert report.stage("quantize").status == "not_run"
    assert "ran in the build" in report.stage("quantize").reason
    assert report.accuracy.n_images == N
    desk = Report.read(folder.parent / "build" / "report.json")
    assert report.accuracy.int8.top1_pct == desk.accuracy.int8.top1_pct
    assert {row.artifact for row in report.benchmark.rows} == {
        "model.fp32.onnx onnxruntime f32",
        "model.int8.onnx onnxruntime f32",
    }
    board = report.board
    assert board.state_before is None
    assert board.state_reason == "not a Jetson"
    assert board.energy == ()
    shipped, predictions = [file.path for file in report.outputs]
    assert predictions == "predictions.csv"
    assert shipped == board.ships == f"model.{report.verdict.ship}.onnx"
    assert sha256_file(folder / shipped) == report.outputs[0].sha256


def test_a_boards_report_is_gated_by_what_the_board_answered(measured, root, tmp_path):
    report, _ = measured
    folder = shutil.copytree(measured[1], tmp_path / "quiet")
    quiet = report.benchmark.model_copy(update={"other_load_pct": None})  # whoever tests
    gate_builds.write_report(report.model_copy(update={"benchmark": quiet}), folder / "report.json")
    evidence = read_evidence(folder)
    assert [one.sha256 for one in evidence.predictions] == [
        one.sha256 for one in read_evidence(root / "build").predictions
    ]
    generous = Limits(max_drop_pp=100.0, min_speedup=0.0, max_latency_ratio=10.0, max_size_mb=1)
    drop, again, speed, ratio, size = judge(evidence, generous, make_baseline(evidence)).criteria
    assert drop.measured == pytest.approx(report.accuracy.top1_drop_pp)
    assert again.measured == 0.0
    assert speed.measured == report.benchmark.speedup_vs_best_float
    assert ratio.measured == pytest.approx(1.0)
    assert "against the best float, model.fp32.onnx onnxruntime f32" in ratio.reason
    assert size.measured == (root / "build" / "model.int8.onnx").stat().st_size / 1e6
    assert {one.decision for one in (drop, again, speed, ratio, size)} == {"pass"}
    (strict,) = gate(folder, Limits(None, min_speedup=1000.0)).criteria
    assert strict.decision == "fail"
    text = "".join(evidence.notes())
    assert f"Measured on {report.board.name}" in text
    assert ("verdict" in text) is (report.verdict.ship != "int8")
    out = shutil.copytree(folder, tmp_path / "out")
    (out / "predictions.csv").write_text("sha256,label\n")
    with pytest.raises(ArtifactError, match=r"predictions\.csv: is not the file"):
        gate(out)


def test_a_boards_report_that_was_edited_is_neither_gated_nor_merged(measured, root, tmp_path):
    report, folder = measured
    assert set(read_manifest(folder)) == {
        "report.json", "report.md", *(file.path for file in report.outputs)
    }  # fmt: skip
    assert {check.state for check in verify_build(folder)} == {"unchanged"}
    edited = shutil.copytree(folder, tmp_path / "edited")
    faster = report.benchmark.model_copy(update={"speedup_vs_best_float": 9.0})
    report.model_copy(update={"benchmark": faster}).write(edited / "report.json")
    refused = r"report\.json: is not the file that .*manifest\.json is about"
    with pytest.raises(ArtifactError, match=refused):
        gate(edited)
    build = shutil.copytree(root / "build", tmp_path / "build")
    with pytest.raises(ArtifactError, match=refused):
        merge_boards(build, [edited])
    (edited / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"manifest\.json: is missing, .*bench again"):
        gate(edited)


def test_a_gate_says_what_a_boards_report_lacks(measured, root, tmp_path):
    report, folder = measured
    out = tmp_path / "report.json"
    gate_builds.write_report(report.model_copy(update={"outputs": ()}), out)
    with pytest.raises(ArtifactError, match=r"names no predictions\.csv.*run bench again"):
        gate(out)
    unrun = report.benchmark.model_copy(update={"chosen": None})
    left_out = (LeftOutReport(artifact="gpu/int8.b1.onnx", reason="no memory"),)
    board = report.board.model_copy(update={"left_out": left_out})
    changes = {"benchmark": unrun, "board": board, "outputs": ()}
    gate_builds.write_report(report.model_copy(update=changes), out)
    with pytest.raises(ArtifactError, match=r"no INT8 model ran .*\(gpu/int8.b1.onnx: no memory"):
        gate(out)
    merged = shutil.copytree(root / "build", tmp_path / "build")
    merge_boards(merged, [folder])
    (note,) = [one for one in read_evidence(merged).notes() if "merged" in one]
    assert f"not judged here ({report.board.name})" in note


def test_a_bench_does_not_write_over_a_users_predictions(root, tmp_path):
    (tmp_path / "predictions.csv").write_text("mine")
    with pytest.raises(ArtifactError, match=r"predictions\.csv: would be removed"):
        bench_bundle(root / "tiny.ecb", tmp_path, ORT)
    assert (tmp_path / "predictions.csv").read_text() == "mine"


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


@pytest.mark.parametrize("name", ["predictions.csv", "report.json", "manifest.json"])
def test_what_was_edited_since_the_build_is_not_bundled(root, tmp_path, name):
    build = shutil.copytree(root / "build", tmp_path / "build")
    path = build / name
    if name == "manifest.json":
        path.unlink()
    else:
        path.write_text(path.read_text().replace("ant", "dog", 1))
    with pytest.raises(ArtifactError, match=rf"{name}: is (not the file|missing)"):
        write_bundle(build, tmp_path / "a.ecb")
    assert not (tmp_path / "a.ecb").exists()


def test_predictions_that_are_no_file_are_refused_at_once(root, tmp_path):
    build = shutil.copytree(root / "build", tmp_path / "build")
    (build / "predictions.csv").unlink()
    os.mkfifo(build / "predictions.csv")
    with pytest.raises(ArtifactError, match=r"predictions\.csv: Not a file, but a pipe"):
        write_bundle(build, tmp_path / "a.ecb")


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


class Jetson(NoReadings):
    """Readings of a board with unlocked clocks, and what was asked of it."""

    def __init__(self):
        super().__init__(reason=None)
        object.__setattr__(self, "asked", [])

    def state(self):
        self.asked.append("state")
        return {"power_mode": "15W", "clocks_locked": "lock" in self.asked}

    def differences(self):
        return ("throttled after the run: gpu-throttle-alert",)

    def meter(self):
        return self

    def start(self):
        self.asked.append("start")

    def stop(self):
        return PowerFigures(5.0, 2.0, 40, "VDD_IN", "hwmon ina3221")

    def close(self):
        self.asked.append("close")

    @contextlib.contextmanager
    def locked_clocks(self):
        self.asked.append("lock")
        yield
        self.asked.append("restore")


@pytest.mark.parametrize("lock", [False, True])
def test_mode_clocks_and_energy_are_in_the_report(root, tmp_path, lock):
    said, board = [], Jetson()
    settings = replace(ORT, lock_clocks=lock, energy_seconds=0.01)
    out = tmp_path / "out"
    report = bench_bundle(root / "tiny.ecb", out, settings, say=said.append, readings=board)
    assert report.board.state_before["power_mode"] == "15W"
    assert report.board.clocks_locked is lock
    assert bool(said) is not lock  # warned, and told how to mend it
    assert all("--lock-clocks" in text for text in said)
    assert "Throttled after the run: gpu-throttle-alert." in report.notes
    assert len(report.board.energy) == 2
    one = report.board.energy[0]
    assert (one.power_scope, one.mean_w, one.idle_w) == ("VDD_IN", 5.0, 2.0)
    assert one.energy_mj_per_image > 0
    assert board.asked.count("restore") == lock
    if lock:
        assert board.asked[0] == "lock"
        assert board.asked[-1] == "restore"
    assert board.asked.count("close") == 1
    assert "VDD\\_IN" in (out / "report.md").read_text(encoding="utf-8")


def test_a_jetson_s_own_files_are_what_is_read(root, tmp_path, monkeypatch):
    """The whole bench on the recorded file system of an Orin Nano."""
    from support.recorded_boards import write_tree
    from support.recorded_jetsons import RUNNING

    from edge_convnext.devices.bench import readings
    from edge_convnext.devices.catalog.this_board import find_board
    from edge_convnext.devices.jetson import power, state

    tree = write_tree(tmp_path / "nano", RUNNING["orin-nano-8gb"])
    meter, read_state = power.PowerMeter, state.read_state
    monkeypatch.setattr(readings, "find_board", lambda: find_board(tree))
    monkeypatch.setattr(readings, "_IDLE_S", 0.01)
    meters = []
    monkeypatch.setattr(
        readings,
        "PowerMeter",
        lambda board: meters.append(meter(board, tree, interval_ms=5)) or meters[-1],
    )
    monkeypatch.setattr(readings, "read_state", lambda: read_state(tree))
    settings = replace(ORT, energy_seconds=0.05)
    report = bench_bundle(root / "tiny.ecb", tmp_path / "out", settings)
    assert report.board.state_before["temperatures_c"]
    for one in report.board.energy:
        assert "VDD_IN" in one.power_scope
        assert one.mean_w == pytest.approx(4.984 * 1.856)
        assert one.idle_w == pytest.approx(4.984 * 1.856)
    assert len(report.board.energy) == 2
    assert [one.can_read for one in meters] == [False]  # closed: no file and no tool is held


def graph(name, precision, kind, batch=1):
    return BundledGraph(
        name=name, file=f"models/{name}", precision=precision, form="mixed", batch=batch, kind=kind
    )


GPU = (
    graph("gpu/fp16.b1.onnx", "fp16", "typed20"),
    graph("gpu/int8.b1.onnx", "int8", "typed20"),
    graph("gpu/fp32.b1.opset17.onnx", "fp32", "opset17"),
    graph("gpu/int8.b1.opset17.onnx", "int8", "opset17"),
    graph("model.int8.onnx", "int8", "cpu"),
)


class Builder:
    """A builder that copies the graph, and fails where it is told to."""

    device = "Orin 8.7 driver 540.3"
    flags = ()

    def __init__(self, version="10.3.0", runtime="tensorrt", fails=None):
        self.version, self.runtime, self.fails, self.built = version, runtime, fails, []

    def build(self, graph, source, output, precision, timing_cache):
        if precision == self.fails:
            raise EngineBuildError("no kernel")
        self.built.append((graph.name, precision, timing_cache.name))
        output.write_bytes(source.read_bytes())
        output.with_name(f"{output.name}.json").write_text("{}")


@pytest.mark.parametrize(
    ("version", "runtime", "expected"),
    [
        (
            "8.6.2",
            "tensorrt",
            {"fp16": "gpu/fp32.b1.opset17.onnx", "int8": "gpu/int8.b1.opset17.onnx"},
        ),
        ("10.3.0", "tensorrt", {"fp16": "gpu/fp16.b1.onnx", "int8": "gpu/int8.b1.onnx"}),
        ("11.4.0", "tensorrt", {"fp16": "gpu/fp16.b1.onnx", "int8": "gpu/int8.b1.onnx"}),
        ("1.7.1", "tensorrt_rtx", {"fp16": "gpu/fp16.b1.onnx", "int8": "gpu/int8.b1.onnx"}),
    ],
)
def test_each_tensorrt_gets_the_graphs_it_reads(version, runtime, expected):
    chosen = {precision: one.name for one, precision in graphs_for(Builder(version, runtime), GPU)}
    assert chosen == {"fp32": "gpu/fp32.b1.opset17.onnx", **expected}


def test_engines_are_built_once_and_a_failed_one_is_told(tmp_path):
    graphs = []
    for one in GPU:
        path = tmp_path / one.name.replace("/", "-")
        path.write_bytes(one.name.encode())
        graphs.append((one, path, sha256_file(path)))
    builder = Builder(fails="int8")
    built, failed = build_engines(builder, graphs, tmp_path / "engines")
    assert [one.precision for one in built] == ["fp16", "fp32"]
    assert [(one.graph.precision, one.reason) for one in failed] == [("int8", "no kernel")]
    builder.fails = None
    built, failed = build_engines(builder, graphs, tmp_path / "engines")
    assert {one.precision: one.reused for one in built} == {
        "fp16": True, "int8": False, "fp32": True
    }  # fmt: skip
    assert {cache for _, _, cache in builder.built} == {"tensorrt.timing"}  # shared
    newer = Builder("10.7.0")
    build_engines(newer, graphs, tmp_path / "engines")
    assert len(newer.built) == 3  # another version's engines are not taken


@pytest.fixture
def ort_as_gpu(monkeypatch):
    """ONNX Runtime runs what `Builder` copied."""
    from edge_convnext.runtimes.load import load_runtime

    def load(name, path, options=None):
        return load_runtime("onnxruntime" if name == "tensorrt" else name, path, options)

    monkeypatch.setattr(candidates_module, "load_runtime", load)


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


def test_a_build_where_the_gpu_is_measured_on_the_spot(tmp_path, ort_as_gpu):
    folder = build_tiny(tmp_path, gpu=True)
    left = VariantReport(target="tensorrt", status="not_run", reason="builds where it will run")
    stage = StageReport(name="engine", status="not_run", reason=left.reason, variants=(left,))
    built = Report.read(folder / "report.json")
    stages = tuple(stage if one.name == "engine" else one for one in built.stages)
    write_report(built.model_copy(update={"stages": stages}), folder)
    report = measure_here(Report.read(folder / "report.json"), [Builder()])
    [run] = report.boards
    ran = {row.artifact for row in run.benchmark.rows}
    assert {"gpu/int8.b1.onnx tensorrt", "gpu/fp16.b1.onnx tensorrt"} <= ran
    engine = report.stage("engine")
    assert engine.reason == engine.variants[0].reason
    assert engine.reason == f"classic TensorRT built and ran its engines on {run.board.name}"
    assert Report.read(folder / "report.json") == report
    assert {check.state for check in verify_build(folder)} == {"unchanged"}


def test_where_no_gpu_is_nothing_is_measured_and_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(here, "find_builders", lambda: ((), "no TensorRT is installed here"))
    assert builders_for(["cpu", "tensorrt"]) == ((), "no TensorRT is installed here")
    assert builders_for(["cpu"]) == ((), None)  # nobody asked for a GPU
    rtx = Builder(runtime="tensorrt_rtx")
    monkeypatch.setattr(here, "find_builders", lambda: ((rtx,), None))
    assert builders_for(["rtx"]) == ((rtx,), None)
    none = "no TensorRT of the target tensorrt runs here"
    assert builders_for(["tensorrt"]) == ((), none)
    assert builders_for(["rtx", "tensorrt"]) == ((rtx,), none)  # one is measured, the other told


def test_a_build_stands_whatever_its_bench_on_the_spot_does(tmp_path, monkeypatch):
    report = Report.read(build_tiny(tmp_path, gpu=True) / "report.json")

    def fail(*_):
        raise BoardError("the GPU fell off the bus")

    monkeypatch.setattr(here, "builders_for", lambda _: ((Builder(),), None))
    monkeypatch.setattr(here, "measure_here", fail)
    same, errors = _measure_here(report, ["tensorrt"], None, True)
    assert (same, errors) == (report, ["the GPU fell off the bus"])


def test_two_merges_at_once_lose_nothing(measured, root, tmp_path):
    """The second finds another report than the one it read."""
    folder = shutil.copytree(root / "build", tmp_path / "build")
    before = Report.read(folder / "report.json")
    merge_boards(folder, [measured[1]])
    with pytest.raises(ArtifactError, match="another command has written it meanwhile"):
        amend_report(before.model_copy(update={"notes": ("mine",)}), folder, before)
    assert Report.read(folder / "report.json").boards


def test_a_file_that_no_build_wrote_is_not_adopted_by_a_merge(measured, root, tmp_path):
    folder = shutil.copytree(root / "build", tmp_path / "build")
    shutil.copy(folder / "model.int8.onnx", folder / "model.fp16.onnx")
    merge_boards(folder, [measured[1]])
    assert "model.fp16.onnx" not in read_manifest(folder)
    assert "model.int8.onnx" in read_manifest(folder)


def test_another_bundle_s_work_goes_and_the_user_s_stays(root, tmp_path):
    out = tmp_path / "out"
    for name in ("0123456789abcdef", "fedcba9876543210", "engines", "mine"):
        (out / "work" / name).mkdir(parents=True)
    mark(out / "work" / "0123456789abcdef")
    bench_bundle(root / "tiny.ecb", out, ORT)
    assert not (out / "work" / "0123456789abcdef").exists()
    assert (out / "work" / "fedcba9876543210").exists()  # it may be called so, and is not ours
    assert (out / "work" / "engines").is_dir()
    assert (out / "work" / "mine").is_dir()


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


def test_the_float_engine_of_the_gpu_is_the_rival_and_without_it_nothing_is_decided():
    def timed(gpu_ms=(), **latency_ms):
        rows = tuple(
            SimpleNamespace(
                artifact=name,
                batch=1,
                round_latency_ms_p50=(value,) * 7,
                round_gpu_ms_p50=(gpu_ms[name],) * 7 if name in gpu_ms else (),
            )
            for name, value in latency_ms.items()
        )
        return BenchmarkResult(rows, ())

    cpu = [candidate("cpu32"), candidate("cpu8", precision="int8")]
    gpu = [engine("gpu16", "fp16"), engine("gpu8", "int8")]
    every = timed(cpu32=9.0, cpu8=6.0, gpu16=2.0, gpu8=1.0)
    choice = choose([*cpu, *gpu], "int8", every, {}, 1.0)
    assert (choice.wanted.name, choice.best_float.name) == ("gpu8", "gpu16")
    assert choice.unmatched is None
    alone = choose([*cpu, gpu[1]], "int8", timed(cpu32=9.0, cpu8=6.0, gpu8=1.0), {}, 1.0)
    assert "INT8 has to beat" in alone.unmatched
    lost = {"gpu8": SimpleNamespace(top1_drop_pp=3.0), "cpu8": SimpleNamespace(top1_drop_pp=0.5)}
    choice = choose([*cpu, *gpu], "int8", every, lost, 1.0)
    assert (choice.wanted.name, choice.best_float.name) == ("cpu8", "gpu16")
    choice = choose([*cpu, *gpu], "fp32", every, {}, 1.0)
    assert choice.wanted is choice.best_float
    assert choice.wanted.name == "cpu32"
    # FP32 has the shorter calls, FP16 the shorter launches, which the speed-up is told in.
    gpu.append(engine("gpu32", "fp32"))
    launches = {"gpu16": 0.3, "gpu32": 0.4, "gpu8": 0.35}
    copied = timed(launches, gpu16=0.50, gpu32=0.45, gpu8=0.44, cpu32=9.0, cpu8=6.0)
    choice = choose([*cpu, *gpu], "int8", copied, {}, 1.0)
    assert (choice.wanted.name, choice.best_float.name) == ("gpu8", "gpu16")
    assert speedup(copied, "gpu8", choice.best_float.name, 1).median == pytest.approx(0.3 / 0.35)


def engine(name, precision):
    return candidate(name, None, precision, "mixed", None, "tensorrt")


def timed_on_gpu(one, latency_ms, gpu_ms):
    rounds = tuple(latency_ms * (1 + 0.001 * index) for index in range(9))
    own = tuple(gpu_ms * (1 + 0.001 * index) for index in range(9)) if gpu_ms else ()
    return TimedRow(
        one, 1, 1, latency_ms, None, None, 1.0, 9, 9, rounds, 1, None, None, gpu_ms, None, None,
        own,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "rival", "gpu_time"),
    [
        # FP32 has the shorter call, FP16 the shorter kernels, and INT8's are between the two.
        ([("32", 1.0, 0.8), ("16", 1.1, 0.4), ("8", 0.9, 0.5)], "16", True),
        # One engine tells no time of its own, and is compared by the call.
        ([("32", 0.8, None), ("16", 1.1, 0.6), ("8", 0.9, 0.5)], "32", False),
        # What runs on the CPU is compared by the call.
        ([("cpu32", 0.8, None), ("16", 1.1, 0.6), ("8", 0.9, 0.5)], "cpu32", False),
    ],
)
def test_int8_is_held_against_the_fastest_float_in_the_unit_of_their_ratio(rows, rival, gpu_time):
    names = {"32": "fp32", "cpu32": "fp32", "16": "fp16", "8": "int8"}
    made = {
        name: candidate(name) if name.startswith("cpu") else engine(name, names[name])
        for name, _, _ in rows
    }
    timings = BenchmarkResult(tuple(timed_on_gpu(made[name], *ms) for name, *ms in rows), ())
    choice = choose(list(made.values()), "int8", timings, {}, 1.0)
    assert (choice.wanted.name, choice.best_float.name) == ("8", rival)
    found = assemble._benchmark(timings, choice)
    by_name = {name: (call, own) for name, call, own in rows}
    unit = 1 if gpu_time else 0
    wanted = by_name[rival][unit] / by_name["8"][unit]
    assert found.speedup_vs_best_float == pytest.approx(wanted)
    assert found.speedup_vs_best_float_ci95 == pytest.approx((wanted, wanted))


def test_merging_twice_changes_nothing_and_a_later_report_replaces(measured, root, tmp_path):
    shutil.copytree(root / "build", tmp_path / "build")
    merged = merge_boards(tmp_path / "build", [measured[1]])
    [run] = merged.boards
    assert run.verdict == measured[0].verdict
    assert Report.read(tmp_path / "build" / "report.json") == merged
    text = (tmp_path / "build" / "report.md").read_text(encoding="utf-8")
    assert "## Boards" in text
    assert {check.state for check in verify_build(tmp_path / "build")} == {"unchanged"}
    first = sha256_file(tmp_path / "build" / "report.json")
    merge_boards(tmp_path / "build", [measured[1], measured[1] / "report.json"])
    assert sha256_file(tmp_path / "build" / "report.json") == first
    busy = measured[0].benchmark.model_copy(update={"other_load_pct": 55.0})
    later = measured[0].model_copy(
        update={
            "created": measured[0].created.replace(year=2090),
            "notes": ("later",),
            "benchmark": busy,
        }
    )
    later.write(tmp_path / "later.json")
    said = []
    [run] = merge_boards(tmp_path / "build", [tmp_path / "later.json"], said.append).boards
    assert run.notes == ("later",)
    assert f"replaces the report of the same board, {run.board.name}" in said[0]
    text = (tmp_path / "build" / "report.md").read_text(encoding="utf-8")
    [row] = [line for line in text.splitlines() if "55 %: repeat it idle" in line]
    assert "| onnxruntime |" in row
    said = []
    [run] = merge_boards(tmp_path / "build", [measured[1]], said.append).boards
    assert run.notes == ("later",)  # an older report does not come back
    assert "left out" in said[0]
    # A bundle of the merged build is still a bundle of the same graphs.
    write_bundle(tmp_path / "build", tmp_path / "merged.ecb")
    assert open_bundle(tmp_path / "merged.ecb").manifest.graphs


def test_nothing_is_merged_into_a_build_that_was_changed(measured, root, tmp_path):
    build = shutil.copytree(root / "build", tmp_path / "build")
    merge_boards(build, [measured[1]])
    before = sha256_file(build / "report.json")
    with (build / "model.int8.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx: changed since the build"):
        merge_boards(build, [measured[1]])
    assert sha256_file(build / "report.json") == before
    states = {check.path: check.state for check in verify_build(build)}
    assert states["model.int8.onnx"] == "changed"


def test_a_report_of_another_build_is_not_merged(measured, root, tmp_path):
    other = build_tiny(tmp_path, seed=1)
    before = sha256_file(other / "report.json")
    with pytest.raises(ArtifactError, match=r"of another build \(model.fp32.onnx differs\)"):
        merge_boards(other, [measured[1]])
    with pytest.raises(ArtifactError, match="is not a board's report"):
        merge_boards(other, [root / "build"])
    assert sha256_file(other / "report.json") == before


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


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("folder", r"folder: is a folder; choose another --out, such as .*/folder\.ecb"),
        ("x.zip", r"x\.zip: `bench` recognises a bundle by its \.ecb; .* such as .*/x\.ecb"),
        ("file/new/x.ecb", r"file/new/x\.ecb: can't be written \(Not a directory\)"),
    ],
)
def test_a_name_that_can_be_no_bundle_is_refused_before_the_work(root, tmp_path, out, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=said) as error:
        write_bundle(tmp_path / "no build is read", tmp_path / out)
    assert ".tmp" not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_an_interrupted_bundle_leaves_the_old_one(root, tmp_path, monkeypatch):
    out = tmp_path / "x.ecb"
    out.write_bytes(b"old")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "_add_images", stop)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(root / "build", out)
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


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


def test_clocks_that_can_not_be_locked_are_no_locked_clocks(root, tmp_path):
    settings = replace(ORT, lock_clocks=True)
    with pytest.raises(BoardError, match="not a Jetson; leave out --lock-clocks"):
        bench_bundle(root / "tiny.ecb", tmp_path / "out", settings, readings=NoReadings())
    assert not (tmp_path / "out").exists()


def test_of_a_damaged_bundle_nothing_stays_unpacked(root, tmp_path):
    whole = (root / "tiny.ecb").read_bytes()
    place = whole.index((root / "build" / "model.int8.onnx").read_bytes()) + 5_000
    (tmp_path / "bad.ecb").write_bytes(
        whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    )
    (tmp_path / "there").mkdir()
    for out in ("new", "there"):
        with pytest.raises(ArtifactError, match="damaged"):
            bench_bundle(tmp_path / "bad.ecb", tmp_path / out, ORT)
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "there").iterdir()) == []


def test_the_bundle_of_a_build_lies_in_it_under_its_name(tmp_path, monkeypatch):
    folder = tmp_path / "atto.v2"
    folder.mkdir()
    monkeypatch.setattr(write, "write_bundle", lambda _, output, **__: output.touch())
    assert bundle_build(folder) == folder / f"atto.v2{SUFFIX}"
    monkeypatch.chdir(folder)
    assert bundle_build(Path()) == Path(f"atto.v2{SUFFIX}")
    assert [path.name for path in folder.iterdir()] == [f"atto.v2{SUFFIX}"]


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

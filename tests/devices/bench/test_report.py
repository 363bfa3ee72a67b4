import shutil
from types import SimpleNamespace

import pytest
from support import gate_builds
from support.bench_boards import N
from support.races import candidate

from edge_convnext.core.errors import (
    ArtifactError,
)
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bench import report
from edge_convnext.devices.bench.choose import Choice
from edge_convnext.devices.bench.merge import merge_boards
from edge_convnext.measure.timings import BenchmarkResult
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.contract import Report
from edge_convnext.report.described import LeftOutReport
from edge_convnext.report.gate.baseline import make_baseline
from edge_convnext.report.gate.decide import gate, judge
from edge_convnext.report.gate.evidence import read_evidence
from edge_convnext.report.gate.limits import Limits
from edge_convnext.report.manifest import read_manifest, verify_build
from edge_convnext.report.stages import StageReport

pytest.importorskip("torch", reason="the build extra is not installed")


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
    generous = Limits(max_drop_pp=99.0, min_speedup=0.0, max_latency_ratio=10.0, max_size_mb=1)
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
        "report.json", "report.md", "report.html", *(file.path for file in report.outputs)
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


QUIET = BenchmarkResult((), (), 1.0)


SEEN = report.Seen(None, None, None, ())


def notes(
    licence=None, seen=SEEN, timings=QUIET, left_out=(), stages=(), unheld="", flags=("avx_vnni",),
    rounds=6, precision="int8", as_fast=(),
):  # fmt: skip
    wanted = candidate("i8", precision="int8")
    made = SimpleNamespace(
        race=SimpleNamespace(timings=timings), left_out=left_out, unheld=unheld,
        machine={"cpu_flags": flags}, choice=Choice(wanted, None, (), None, 1, as_fast),
        recipe=make_recipe({"precision": precision, "benchmark": {"rounds": rounds}}),
    )  # fmt: skip
    return report._notes(licence, seen, made, stages)


def test_a_board_that_tells_all_on_a_quiet_machine_has_no_notes():
    assert notes() == ()


def test_a_board_whose_int8_products_overflow_says_so():
    (told,) = notes(flags=("avx2",))
    assert told.startswith("This x86 CPU has no VNNI")


def test_terms_state_and_load_are_noted():
    seen = report.Seen(None, None, "not a Jetson", ("it throttled",))
    licence, unread, throttled, busy = notes("CC BY", seen, BenchmarkResult((), (), 60.0))
    assert "licence, CC BY," in licence
    assert unread == "Mode, clocks, temperature and power were not read: not a Jetson."
    assert throttled == "It throttled."
    assert busy.endswith("Repeat `bench` on an idle board.")


def test_rounds_that_are_too_few_for_a_verdict_are_told():
    (told,) = notes(rounds=5)
    assert told == (
        "--rounds 5 is too few for a verdict on speed: with fewer than 6 rounds a speed-up has no "
        "interval. Pass --rounds 6 or more."
    )
    assert notes(rounds=5, precision="fp32") == ()  # a float has nothing to beat


def test_candidates_that_speed_alone_chose_from_are_told():
    (told,) = notes(as_fast=("a", "b", "c", "d"))
    assert told == (
        "As fast as i8 here: a, b, c and 1 more. Which is nearest to FP32 was not measured, for "
        "the bundle has no images: speed alone chose."
    )


def test_why_nothing_was_held_to_onnx_runtime_is_told():
    (told,) = notes(unheld="the bundle has no images")
    assert told == (
        "What is computed here was not held to ONNX Runtime's logits: the bundle has no images."
    )


def test_what_was_left_out_is_told_by_reason_but_for_the_one_that_the_engines_tell():
    left_out = [LeftOutReport(artifact=name, reason="no numbers") for name in "abcde"]
    left_out += [LeftOutReport(artifact="f", reason="no TensorRT")]
    stages = [StageReport(name="engine", status="not_run", reason="no TensorRT")]
    assert notes(left_out=left_out, stages=stages) == ("Left out, a, b, c and 2 more: no numbers.",)
    assert len(notes(left_out=left_out)) == 2


def measured(tmp_path, choice, evaluation=None, precision="int8"):
    model = SimpleNamespace(classes=("x",))
    return SimpleNamespace(
        choice=choice, evaluation=evaluation, recipe=SimpleNamespace(precision=precision),
        unpacked=SimpleNamespace(manifest=SimpleNamespace(model=model)),
    )  # fmt: skip


@pytest.fixture
def choice(tmp_path):
    (tmp_path / "e.engine").touch()
    (tmp_path / "e.engine.json").touch()
    engine = candidate("e", tmp_path / "e.engine", "int8", runtime="tensorrt")
    graph = candidate("g", tmp_path / "g.onnx")
    return Choice(engine, graph, (graph,), None, 1)


@pytest.mark.parametrize(
    ("ship", "files"),
    [
        ("int8", {"model.int8.engine": "e.engine", "model.int8.engine.json": "e.engine.json"}),
        ("fp32", {"model.fp32.onnx": "g.onnx"}),
        ("undecided", {}),
    ],
)
def test_the_file_that_ships_is_called_by_its_precision(tmp_path, choice, ship, files):
    made = report.board_files(measured(tmp_path, choice), SimpleNamespace(ship=ship))
    assert {name: path.name for name, path in made.models.items()} == files
    assert made.tables == {}


def test_predictions_are_the_builds_fp32_and_what_was_wanted_here(tmp_path, choice):
    evaluation = SimpleNamespace(reference="of fp32", options={"e": "of int8"})
    undecided = SimpleNamespace(ship="undecided")
    made = report.board_files(measured(tmp_path, choice, evaluation), undecided)
    told = made.tables["predictions.csv"].keywords
    assert told["predictions"] == {"fp32": "of fp32", "int8": "of int8"}
    assert (told["answers_alone"], told["classes"]) == (["fp32"], ("x",))
    float_build = measured(tmp_path, choice, evaluation, "fp32")
    assert report.board_files(float_build, undecided).tables == {}

"""What a gate stands on: which report it takes, what it refuses, and what it notes."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.example_report import (
    ACCURACY,
)
from support.gate_builds import make_build, sha

from edge_convnext.core.class_names import composed
from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.gate import evidence as module
from edge_convnext.report.gate.decide import gate
from edge_convnext.report.gate.evidence import (
    Evidence,
    Prediction,
    read_evidence,
)
from edge_convnext.report.manifest import write_manifest


@pytest.fixture
def build(tmp_path):
    folder = tmp_path / "build"
    make_build(folder, n=20, lost=2, won=1)
    return folder


def refusal(path):
    with pytest.raises(ArtifactError) as caught:
        read_evidence(path)
    return str(caught.value)


def test_a_report_or_its_folder_is_read_with_its_predictions(build):
    found = read_evidence(build)
    assert found == read_evidence(build / "report.json")
    assert (found.path, found.precision, found.model_bytes) == (
        build / "report.json", "int8", 4_000_000,
    )  # fmt: skip
    assert len(found.predictions) == 20
    first, second, _, fourth = found.predictions[:4]
    assert first == Prediction(sha(0), "class 0", "class 1", "class 0", 0.0)
    assert second == Prediction(sha(1), "class 1", "class 1", "class 2", 0.05)
    assert (first.lost, first.won, second.lost, second.won) == (False, True, True, False)
    assert (fourth.lost, fourth.won) == (False, False)
    assert (found.top1_pct, found.fp32_top1_pct) == (90.0, 95.0)


def test_files_that_are_not_the_reports_are_refused(build):
    report, model = build / "report.json", build / "model.int8.onnx"
    kept = model.read_bytes()
    model.write_bytes(b"other")
    assert refusal(build) == f"{model}: is not the file that {report} is about; build again"
    model.unlink()
    assert refusal(build) == f"{model}: is missing, and {report} is about it; build again"
    model.write_bytes(kept)
    read_evidence(build)
    report.write_text(report.read_text().replace("potato.pth", "better.pth"))
    assert "report.json" in refusal(build)


def test_the_demos_report_and_one_of_fp32_are_refused(tmp_path):
    demo = tmp_path / "demo"
    make_build(demo, n=4, banner="demo")
    assert refusal(demo) == (
        f"{demo / 'report.json'}: is the demo's report, which says nothing of your model; build "
        "with --weights and --data"
    )
    plain = tmp_path / "fp32"
    make_build(plain, n=4, recipe={"precision": "fp32"})
    assert refusal(plain) == (
        f"{plain / 'report.json'}: is a build of FP32, which is the reference itself; gate one of "
        "INT8"
    )


def test_a_report_that_names_neither_model_nor_predictions_is_refused(tmp_path):
    folder = tmp_path / "a"
    make_build(folder, n=4, outputs=[])
    assert refusal(folder) == (
        f"{folder / 'report.json'}: names no model.int8.onnx and no predictions.csv; build again"
    )


def test_figures_that_the_predictions_do_not_tell_are_refused(tmp_path):
    cases = {
        "n_images": "of 21 images 2 were lost and 1 won",
        "lost": "of 20 images 21 were lost and 1 won",
        "won": "of 20 images 2 were lost and 21 won",
    }
    for name, told in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        accuracy = {**ACCURACY, "n_images": 20, "lost": 2, "won": 1, name: 21}
        make_build(folder, n=20, lost=2, won=1, accuracy=accuracy)
        assert refusal(folder) == (
            f"{folder / 'report.json'}: says that {told}, predictions.csv says 2 and 1 of 20; "
            "build again"
        )


def save_predictions(build, text):
    path = build / "predictions.csv"
    path.write_text(text)
    return module.read_predictions(path, "int8")


HEADER = "sha256,label,fp32_top1,int8_top1,int8_margin\n"


def test_names_are_compared_composed(build):
    (one,) = save_predictions(build, HEADER + "h,Gru\u0308n,Gr\u00fcn,Gru\u0308n,0.5\n")
    assert one == Prediction("h", "Gr\u00fcn", "Gr\u00fcn", "Gr\u00fcn", 0.5)
    assert one.label == composed("Gru\u0308n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sha256,label\nh,a\n", "'fp32_top1'"),
        (HEADER + "h,a,a,a,x\n", "could not convert string to float: 'x'"),
        (HEADER + "h,a\n", "a line has no fp32_top1"),
    ],
)
def test_predictions_of_another_make_are_refused(build, text, why):
    with pytest.raises(ArtifactError) as caught:
        save_predictions(build, text)
    path = build / "predictions.csv"
    start, end = f"{path}: is not the file that a build of int8 writes (", "); build again"
    assert str(caught.value) == f"{start}{why}{end}"


def test_predictions_that_are_gone_are_told(build):
    path = build / "nothing.csv"
    with pytest.raises(ArtifactError) as caught:
        module.read_predictions(path, "int8")
    assert str(caught.value) == f"{path}: No such file or directory; build again"


def test_without_an_evaluation_nothing_is_gated():
    path = Path("report.json")
    report = SimpleNamespace(accuracy=None, stage=lambda name: SimpleNamespace(reason=f"no {name}"))
    with pytest.raises(ArtifactError) as caught:
        module._require_evaluation(path, report)
    assert str(caught.value) == (
        "report.json: the evaluate stage did not run (no evaluate), and a gate without accuracy "
        "would pass by accident; build with labelled images (--data)"
    )
    module._require_evaluation(path, SimpleNamespace(accuracy="some"))


def board_report(**changes):
    fields = {
        "board": SimpleNamespace(left_out=(SimpleNamespace(artifact="x", reason="too old"),)),
        "accuracy": "some", "stage": lambda name: SimpleNamespace(reason=f"no {name}"),
        "benchmark": SimpleNamespace(
            chosen="b",
            rows=[SimpleNamespace(artifact=at, size_bytes=n) for at, n in (("a", 1), ("b", 2))],
        ),
    }  # fmt: skip
    return SimpleNamespace(**fields | changes)


def board_refusal(report, named=("predictions.csv",)):
    with pytest.raises(ArtifactError) as caught:
        module._require_board_evidence(Path("r.json"), report, "int8", named)
    return str(caught.value)


def test_a_boards_report_needs_accuracy_a_model_and_predictions():
    path = Path("r.json")
    assert module._require_board_evidence(path, board_report(), "int8", ["predictions.csv"]) == 2
    assert board_refusal(board_report(accuracy=None)) == (
        "r.json: no image was evaluated on this board (no evaluate), and a gate without accuracy "
        "would pass by accident; make the bundle with --evaluation images, and run bench again"
    )
    none = SimpleNamespace(chosen=None, rows=[])
    for benchmark in (none, None):
        assert board_refusal(board_report(benchmark=benchmark)) == (
            "r.json: no INT8 model ran on this board (x: too old), so there is none to gate; see "
            "the board's report.md"
        )
    bare = board_report(benchmark=None, board=SimpleNamespace(left_out=()))
    assert "ran on this board, so" in board_refusal(bare)
    assert board_refusal(board_report(), ["model.onnx"]) == (
        "r.json: names no predictions.csv, as bench of this version writes; run bench again"
    )


def notes_of(right=90, classes=("a", "b"), **changes):
    fields = {
        "board": None, "boards": (), "verdict": SimpleNamespace(ship="int8"),
        "model": SimpleNamespace(classes=classes),
    }  # fmt: skip
    report = SimpleNamespace(**fields | changes)
    pairs = [Prediction(f"{at}", "a", "a", "a" if at < right else "b", 1.0) for at in range(100)]
    return Evidence(Path("r.json"), report, "int8", tuple(pairs), 1).notes()


def test_what_a_reader_might_think_otherwise_is_noted():
    assert notes_of() == ()
    assert notes_of(verdict=SimpleNamespace(ship="fp32")) == (
        "The gate is on int8, the report's verdict ships fp32.",
    )
    assert notes_of(verdict=SimpleNamespace(ship="undecided")) == (
        "The gate is on int8, the report's verdict is undecided.",
    )
    assert notes_of(right=49) == (
        "INT8 is right on 49.00 % of the images, guessing would be on 50.00 %: look at labels, "
        "class order and preprocessing.",
    )
    assert notes_of(right=50) == ()
    assert notes_of(right=99, classes=()) != ()
    assert notes_of(board=SimpleNamespace(name="orin")) == (
        "Measured on orin; FP32's class of each image is from the build.",
    )
    boards = [SimpleNamespace(board=SimpleNamespace(name=name)) for name in ("x", "y")]
    assert notes_of(boards=boards) == (
        "What boards measured is merged into this report and not judged here (x, y): gate the "
        "report.json of each.",
    )


def test_a_build_needs_its_manifest_and_a_board_none(build):
    (build / "manifest.json").unlink()
    assert refusal(build).startswith(f"{build / 'manifest.json'}: is missing")


def test_a_report_that_was_edited_is_refused_by_its_manifest(tmp_path):
    report = make_build(tmp_path, 1000)
    write_manifest(tmp_path, sorted(tmp_path.glob("*")))
    assert gate(report).decision == "pass"
    report.write_text(report.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"report.json: is not the file that .*manifest.json"):
        gate(report)


def test_a_build_without_its_manifest_is_refused(tmp_path):
    report = make_build(tmp_path, lost=5)
    manifest = tmp_path / "manifest.json"
    content = manifest.read_text()
    manifest.unlink()
    with pytest.raises(ArtifactError, match=r"manifest\.json: is missing, .* build again"):
        read_evidence(report)
    manifest.write_text(content.replace('"report.json"', '"other.json"'))
    with pytest.raises(ArtifactError, match=r"manifest\.json: does not name report\.json"):
        read_evidence(report)
    manifest.write_text(content)
    assert read_evidence(report).precision == "int8"


def test_a_report_that_contradicts_its_predictions_is_refused(tmp_path):
    report = make_build(tmp_path, lost=5)
    fields = json.loads(report.read_text())
    fields["accuracy"]["lost"] = 2
    report.write_text(json.dumps(fields))
    write_manifest(tmp_path, sorted(tmp_path.glob("*.*")))
    with pytest.raises(ArtifactError, match="2 were lost"):
        gate(report)

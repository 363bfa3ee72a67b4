import json

import pytest
from support.example_report import example_fields, without_measurements
from support.gate_builds import make_build
from support.gate_parts import write_build_in

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.compare.sides import is_baseline, read_side, side_of_baseline
from edge_convnext.report.contract import Report
from edge_convnext.report.gate.baseline import make_baseline, read_baseline, write_baseline
from edge_convnext.report.gate.evidence import read_evidence


def test_a_build_is_read_by_folder_and_by_report(tmp_path):
    make_build(tmp_path / "a", 20, lost=2)
    by_folder, by_file = read_side(tmp_path / "a", "A"), read_side(tmp_path / "a/report.json", "A")
    assert by_folder.answers == by_file.answers
    assert (by_folder.kind, by_folder.precision, len(by_folder.answers)) == ("build", "int8", 20)
    assert by_folder.size_bytes == 4_000_000
    assert by_folder.notes == ()
    key, answer = by_folder.answers[0]
    assert (len(key), answer.label, answer.said, answer.fp32) == (
        20,
        "class 0",
        "class 1",
        "class 0",
    )


def test_a_baseline_is_known_by_its_schema_whatever_its_name_is(tmp_path):
    evidence = read_evidence(make_build(tmp_path / "a", 20, lost=2))
    path = tmp_path / "saved"
    write_baseline(make_baseline(evidence), path)
    side = read_side(path, "A")
    assert is_baseline(path)
    assert not is_baseline(tmp_path / "a/report.json")
    assert (side.kind, side.report, side.created) == ("baseline", None, None)
    assert side == side_of_baseline(path, "A", read_baseline(path))
    assert {one.label for _, one in side.answers} == {f"class {index}" for index in range(4)}
    assert all(one.fp32 is None for _, one in side.answers)


@pytest.mark.parametrize("content", ["", "[", "[]", '{"schema": 3}', "\x00", '{"schema": "x/1"}'])
def test_what_is_neither_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    assert not is_baseline(path)
    with pytest.raises(ArtifactError, match=r"x\.json"):
        read_side(path, "A")
    with pytest.raises(ArtifactError, match="build"):
        read_side(tmp_path / "missing", "A")


def test_an_edited_report_or_other_answers_are_refused_and_a_bare_copy_is_told(tmp_path):
    make_build(tmp_path / "a", 20)
    (tmp_path / "a/manifest.json").unlink()
    assert "nothing shows" in read_side(tmp_path / "a", "A").notes[0]
    with (tmp_path / "a/predictions.csv").open("a") as file:
        file.write("x\n")
    with pytest.raises(ArtifactError, match=r"predictions\.csv: is not the file"):
        read_side(tmp_path / "a", "A")
    (tmp_path / "a/predictions.csv").unlink()
    assert "not beside" in read_side(tmp_path / "a", "A").no_answers
    path = make_build(tmp_path / "b", 20)
    path.write_text(path.read_text().replace("potato", "tomato"))
    with pytest.raises(ArtifactError, match=r"report\.json: is not the file"):
        read_side(tmp_path / "b", "A")


def test_a_build_without_images_says_why(tmp_path):
    report = Report.model_validate(example_fields(**without_measurements("evaluate")))
    report.write(tmp_path / "report.json")
    side = read_side(tmp_path, "A")
    assert side.no_answers == "no image was evaluated (random weights)"
    assert side.top1_pct is None
    fields = json.loads((tmp_path / "report.json").read_text())
    fields["recipe"] = {"precision": "\x1bint4"}
    (tmp_path / "report.json").write_text(json.dumps(fields))
    with pytest.raises(ArtifactError, match="no precision"):
        read_side(tmp_path, "A")


def test_a_build_of_fp32_has_answers_too(tmp_path):
    path = write_build_in(tmp_path / "a", [["0" * 64, "ant", "ant", "1.0", "bee", "0.5"]])
    assert path == tmp_path / "a/report.json"
    fields = json.loads(path.read_text())
    fields["recipe"]["precision"] = "fp32"
    (tmp_path / "a/manifest.json").unlink()
    path.write_text(json.dumps(fields))
    ((_, answer),) = read_side(path, "A").answers
    assert (answer.said, answer.fp32) == ("ant", "ant")

from pathlib import Path

import pytest
from support.gate_builds import make_build

from edge_convnext.cli.gate_files import GateFiles, attempt, save_baseline, tell_unwritten
from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.gate.baseline import read_baseline
from edge_convnext.report.gate.evidence import read_evidence


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("stated", "variable", "found"),
    [
        (None, None, False),
        (None, "", False),
        (None, "true", True),
        (True, None, True),
        (False, "true", False),
    ],
)
def test_a_flag_goes_before_the_variable_that_github_sets(monkeypatch, stated, variable, found):
    if variable is not None:
        monkeypatch.setenv("GITHUB_ACTIONS", variable)
    assert GateFiles(annotations=stated).on_github is found


def test_what_is_asked_for_is_written_and_the_summary_goes_on(tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    files = GateFiles(tmp_path / "gate.xml", tmp_path / "gate.md")
    assert files.write("<xml/>", "# text") == []
    assert (tmp_path / "gate.xml").read_text() == "<xml/>"
    assert (tmp_path / "gate.md").read_text() == "# text"
    assert summary.read_text() == "before\n"
    assert GateFiles(annotations=True).write("<xml/>", "# text") == []
    assert summary.read_text() == "before\n# text"


def test_every_file_that_cannot_be_written_comes_back(tmp_path, capsys):
    (tmp_path / "file").touch()
    bad = tmp_path / "file" / "out"
    unwritten = GateFiles(bad, bad).write("", "")
    assert len(unwritten) == 2
    tell_unwritten(unwritten)
    err = capsys.readouterr().err
    assert err.count("can't be written") == 2
    assert err.startswith("error: ")


def test_a_refusal_is_in_every_file_and_goes_on(tmp_path, capsys):
    files = GateFiles(tmp_path / "gate.xml", tmp_path / "gate.md", True)
    for json in (False, True):
        with pytest.raises(ArtifactError, match="no such"), files.refusals_written(json):
            raise ArtifactError("no such report")
        assert ("no such report" in capsys.readouterr().out) is not json
    assert "no such report" in (tmp_path / "gate.xml").read_text()
    assert "no such report" in (tmp_path / "gate.md").read_text()
    with files.refusals_written(json=False):
        pass
    assert capsys.readouterr().out == ""


def test_only_errors_of_the_system_are_caught_and_name_the_file_that_was_asked_for():
    def fail():
        raise ValueError("a bug")

    def run_out():
        raise OSError(28, "No space left on device", "/tmp/some-temporary-file")

    assert attempt(Path("gate.xml"), lambda: None) == []
    (error,) = attempt(Path("gate.xml"), run_out)
    assert (error.errno, error.filename) == (28, "gate.xml")
    assert error.strerror == "No space left on device"
    with pytest.raises(ValueError, match="a bug"):
        attempt(Path("gate.xml"), fail)


def test_a_baseline_starts_anew_where_the_one_before_cannot_be_read(tmp_path):
    evidence, path = read_evidence(make_build(tmp_path / "a", 100)), tmp_path / "baseline.json"
    first = save_baseline(evidence, None, path)
    assert not any("starts anew" in one for one in first)
    assert not any("starts anew" in one for one in save_baseline(evidence, None, path))
    path.write_text("{")
    assert any("starts anew" in one for one in save_baseline(evidence, None, path))
    assert len(read_baseline(path).predictions) == 100


def test_the_best_proven_build_is_kept_beside_a_worse_one(tmp_path):
    path = tmp_path / "baseline.json"
    save_baseline(read_evidence(make_build(tmp_path / "a", 1000)), None, path)
    worse = read_evidence(make_build(tmp_path / "b", 1000, lost=3))
    (note,) = [one for one in save_baseline(worse, None, path) if "best proven" in one]
    assert "top-1 100.00 % where this one has 99.70 %" in note
    assert save_baseline(worse, read_baseline(path), tmp_path / "other.json")[-1] == note


def test_an_equal_build_is_its_own_best(tmp_path):
    evidence, path = read_evidence(make_build(tmp_path / "a", 1000)), tmp_path / "baseline.json"
    for _ in range(2):
        assert not any("best proven" in one for one in save_baseline(evidence, None, path))


def test_a_baseline_that_was_named_goes_before_what_lies_at_the_path(tmp_path):
    evidence, path = read_evidence(make_build(tmp_path / "a", 1000)), tmp_path / "baseline.json"
    save_baseline(evidence, None, tmp_path / "named.json")
    path.write_text("{")
    named = read_baseline(tmp_path / "named.json")
    assert not any("starts anew" in one for one in save_baseline(evidence, named, path))

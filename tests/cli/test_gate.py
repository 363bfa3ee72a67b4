import json
from dataclasses import fields

import pytest
import typer
from support.gate_builds import make_build

from edge_convnext.cli.gate import Asked, gate
from edge_convnext.cli.signature import flag_of
from edge_convnext.report.gate.limits import Limits


@pytest.fixture
def run(call, monkeypatch):
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: call("gate", *arguments)


def test_every_limit_of_the_library_has_a_flag():
    ours = {one.name for one in fields(Asked)} - {"preset"}
    assert ours == {one.name for one in fields(Limits)} - {"kept_pct"}
    assert flag_of(Asked, "max_drop_pp") == "--max-drop"
    assert flag_of(Asked, "max_latency_ratio") == "--max-latency-ratio"


def test_limits_are_those_stated_and_a_usual_budget():
    assert Asked().limits() == Limits()
    assert Asked(max_drop_pp=0.5, min_top1_pct=90.0, max_size_mb=4.0).limits() == Limits(
        0.5, min_top1_pct=90.0, max_size_mb=4.0
    )
    preset = Asked(preset="mlperf-99", min_speedup=1.5).limits()
    assert preset == Limits(None, min_speedup=1.5, kept_pct=99.0)


def test_two_budgets_are_refused():
    Asked(max_drop_pp=1.0).refuse_both()
    Asked(preset="mlperf-99").refuse_both()
    with pytest.raises(typer.BadParameter, match="pass one"):
        Asked(max_drop_pp=1.0, preset="mlperf-99").refuse_both()


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--max-drop", "-1"),
        ("--min-top1", "101"),
        ("--min-agreement", "0.5"),
        ("--max-class-drop", "nan"),
        ("--min-speedup", "-2"),
        ("--max-latency-ratio", "-1"),
        ("--max-size-mb", "-3"),
    ],
)
def test_what_is_wrong_with_a_limit_is_told_by_its_flag(run, tmp_path, flag, value):
    code, _, err = run(make_build(tmp_path, n=20), flag, value)
    assert code == 3
    assert err.startswith(f"error: {flag} is ")


def test_a_decision_is_printed_with_the_flips_that_are_asked_for(run, tmp_path):
    passing, failing = make_build(tmp_path / "a", 1000), make_build(tmp_path / "b", 1000, lost=100)
    code, out, err = run(passing)
    assert (code, err) == (0, "")
    assert "flipped" not in out
    code, out, _ = run(failing, "--explain")
    assert code == 1
    assert "100 images flipped against fp32" in out
    code, out, _ = run(failing, "--json", "--explain")
    assert (code, len(json.loads(out)["flips"]["flips"])) == (1, 100)
    fields_ = json.loads(run(failing, "--json")[1])
    assert "flips" not in fields_
    assert "baseline" not in fields_


def test_an_explanation_with_a_baseline_has_the_comparison_in_every_output(run, tmp_path):
    before, now = make_build(tmp_path / "a", 1000), make_build(tmp_path / "b", 1000, lost=100)
    path, markdown = tmp_path / "base.json", tmp_path / "gate.md"
    run(before, "--save-baseline", path)
    asked = (now, "--baseline", path, "--explain", "--markdown", markdown)
    code, out, _ = run(*asked)
    assert code == 1
    assert "Top-1: 100.00 % in the baseline, 90.00 % in this build, -10.00 pp" in out
    assert out.index("Better, same, worse") < out.index("images flipped against the baseline")
    assert "**this build against the baseline: 0 better, " in markdown.read_text()
    fields_ = json.loads(run(*asked, "--json")[1])
    assert fields_["comparison"]["pairs"][0]["counts"]["worse"] >= 2
    assert "comparison" not in json.loads(run(now, "--explain", "--json")[1])
    assert "compare" not in (run(now, "--markdown", markdown), markdown.read_text())[1]


def test_quiet_says_nothing_of_a_baseline_that_was_written(run, tmp_path):
    report, path = make_build(tmp_path / "a", 1000), tmp_path / "baseline.json"
    assert run(report, "--save-baseline", path)[2].startswith(f"baseline written to {path}\n")
    path.unlink()
    assert "written" not in run(report, "--save-baseline", path, "-q")[2]
    assert path.is_file()
    code, _, err = run(make_build(tmp_path / "b", 1000, lost=100), "--save-baseline", path, "-q")
    assert (code, err) == (1, f"baseline not written to {path}: the gate failed\n")


def test_strict_fails_what_cannot_be_told_yet(run, tmp_path):
    unsure = make_build(tmp_path, 200)
    assert run(unsure)[0] == 0
    assert run(unsure, "--strict")[0] == 1


def test_the_command_is_described_by_its_own_words():
    assert gate.__doc__.startswith("Decide whether a build may pass")


def test_a_baseline_that_cannot_be_written_is_not_said_to_be(run, tmp_path):
    (tmp_path / "file").touch()
    report, bad = make_build(tmp_path / "a", 1000), tmp_path / "file" / "baseline.json"
    code, out, err = run(report, "--save-baseline", bad, "--json")
    assert (code, json.loads(out)["baseline"]["written"]) == (3, False)
    assert err.count("\n") == 1
    assert "written to" not in run(report, "--save-baseline", bad)[2]


def test_no_output_replaces_what_is_judged_nor_another(run, tmp_path):
    report, base = make_build(tmp_path / "a", 100), tmp_path / "base.json"
    assert run(report, "--save-baseline", base)[0] == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for flags in (
        ("--junit", report),
        ("--markdown", report.with_name("manifest.json")),
        ("--save-baseline", report.with_name("predictions.csv")),
        ("--baseline", base, "--junit", base),
        ("--junit", tmp_path / "x", "--markdown", tmp_path / "x"),
    ):
        code, out, err = run(report, *flags)
        assert (code, out, err.count("\n")) == (3, "", 1)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert run(report, "--baseline", base, "--save-baseline", base)[0] == 0

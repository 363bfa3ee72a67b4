"""Gates: what passes, what fails, what can't be told, and what is refused."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from support.example_report import BENCHMARK, example_fields, without_measurements
from support.gate_builds import make_build, sha, write_build
from support.gate_parts import run, write_build_in

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.intervals import (
    images_to_settle,
    paired_difference_interval,
)
from edge_convnext.report.gate.baseline import make_baseline, read_baseline, write_baseline
from edge_convnext.report.gate.decide import gate, is_strict
from edge_convnext.report.gate.evidence import read_evidence
from edge_convnext.report.gate.limits import Limits
from edge_convnext.report.gate.speed import why_no_baseline_of_speed


@pytest.mark.parametrize(
    ("n", "lost", "decision"),
    [
        (10_000, 0, "pass"),
        (10_000, 300, "fail"),
        (476, 3, "inconclusive"),
        (200, 0, "inconclusive"),
    ],
)
def test_the_interval_decides_not_the_estimate(tmp_path, n, lost, decision):
    result = gate(make_build(tmp_path, n, lost), Limits(max_drop_pp=1.0))
    assert result.decision == decision
    (drop,) = result.criteria
    low, high = drop.interval
    assert drop.measured == pytest.approx(100 * lost / n)
    assert low <= drop.measured <= high
    assert {"pass": high <= 1, "fail": low > 1, "inconclusive": low <= 1 < high}[decision]


def test_an_unsure_drop_names_the_images_that_would_settle_it(tmp_path):
    (drop,) = gate(make_build(tmp_path, 400, lost=2, won=1)).criteria
    assert drop.decision == "inconclusive"
    named = int(drop.reason.split("about ")[1].split(" images")[0].replace(",", ""))
    low, high = paired_difference_interval(round(2 * named / 400), round(named / 400), named)
    assert high <= 0.01 or low > 0.01
    assert 400 < named < 40_000


def test_no_number_of_images_tells_a_drop_from_its_own_size(tmp_path):
    (drop,) = gate(make_build(tmp_path, 400, lost=4), Limits(max_drop_pp=1.0)).criteria
    assert "no number of images" in drop.reason
    assert images_to_settle(lambda _n: False, 400) is None


def test_agreement_and_size_are_limits_of_their_own(tmp_path):
    report = make_build(tmp_path, 10_000, lost=200, won=200)
    limits = Limits(max_drop_pp=None, min_agreement_pct=97.0, max_size_mb=3.9)
    agreement, size = gate(report, limits).criteria
    assert (agreement.decision, agreement.measured) == ("fail", 96.0)
    assert (size.decision, size.measured) == ("fail", 4.0)
    assert gate(report, Limits(max_drop_pp=1.0)).decision == "pass"  # lost and won cancel


def test_a_class_that_falls_is_found_among_many(tmp_path):
    rows = [
        [sha(i), f"c{i % 20}", f"c{i % 20}", "1", "c0" if i % 20 == 7 else f"c{i % 20}", "1"]
        for i in range(20_000)
    ]
    (found,) = gate(write_build_in(tmp_path, rows), Limits(None, max_class_drop_pp=5.0)).criteria
    assert found.decision == "fail"
    assert "class 'c7' drops by 100.00 pp" in found.reason


def test_the_worst_class_of_many_honest_ones_does_not_fail(tmp_path):
    random = np.random.default_rng(0)
    rows = []
    for index in range(20_000):  # 2 % lost and 2 % won in each of 200 classes of 100 images
        name, kind = f"c{index % 200}", random.random()
        fp32, int8 = ("x" if 0.02 <= kind < 0.04 else name), ("x" if kind < 0.02 else name)
        rows.append([sha(index), name, fp32, "1", int8, "1"])
    (found,) = gate(write_build_in(tmp_path, rows), Limits(None, max_class_drop_pp=1.0)).criteria
    assert found.decision == "inconclusive"


def test_speed_is_judged_by_its_interval(tmp_path):
    report = make_build(tmp_path)  # 1.21 [1.18, 1.23]
    for least, decision in ((1.18, "pass"), (1.2, "inconclusive"), (1.24, "fail")):
        (found,) = gate(report, Limits(None, min_speedup=least)).criteria
        assert (found.decision, found.measured) == (decision, 1.21)
    bare = {**BENCHMARK, "speedup_vs_best_float_ci95": None}
    report = make_build(tmp_path / "few rounds", benchmark=bare)
    (found,) = gate(report, Limits(None, min_speedup=1.0)).criteria
    assert found.decision == "inconclusive"
    assert "interval" in found.reason


def test_a_slower_build_fails_against_its_baseline_on_the_same_machine(tmp_path):
    before = make_baseline(read_evidence(make_build(tmp_path / "before")))
    slower = {
        **BENCHMARK,
        "speedup_vs_raw_fp32": 2.23 / 1.15,
        "speedup_vs_raw_fp32_ci95": [2.19 / 1.15, 2.26 / 1.15],
    }
    report = make_build(tmp_path / "after", benchmark=slower)
    (found,) = gate(report, Limits(None, max_latency_ratio=1.05), before).criteria
    assert found.decision == "fail"
    assert found.measured == pytest.approx(1.15)
    assert found.interval[0] < 1.15 < found.interval[1]
    (same,) = gate(tmp_path / "before", Limits(None, max_latency_ratio=1.05), before).criteria
    assert same.decision == "pass"
    elsewhere = make_build(tmp_path / "elsewhere", environment=environment("another"))
    (found,) = gate(elsewhere, Limits(None, max_latency_ratio=1.05), before).criteria
    assert found.decision == "inconclusive"
    assert "another machine" in found.reason


def test_without_raw_fp32_latency_is_compared_over_the_same_float(tmp_path):
    """As on a board."""
    unraced = {"speedup_vs_raw_fp32": None, "speedup_vs_raw_fp32_ci95": None}
    of_board = {**BENCHMARK, **unraced}
    before = make_baseline(read_evidence(make_build(tmp_path / "before", benchmark=of_board)))
    slower = {
        **of_board,
        "speedup_vs_best_float": 1.21 / 1.15,
        "speedup_vs_best_float_ci95": [1.18 / 1.15, 1.23 / 1.15],
    }
    report = make_build(tmp_path / "after", benchmark=slower)
    (found,) = gate(report, Limits(None, max_latency_ratio=1.05), before).criteria
    assert (found.decision, found.measured) == ("fail", pytest.approx(1.15))
    other = {**of_board, "best_float": "fp32 raw onnxruntime"}
    for changes, why in ((other, "the baseline against another"), (BENCHMARK, "raced against raw")):
        report = make_build(tmp_path / "other", benchmark=changes)
        (found,) = gate(report, Limits(None, max_latency_ratio=1.05), before).criteria
        assert found.decision == "inconclusive"
        assert why in found.reason


def test_another_batch_size_is_no_comparison(tmp_path):
    before = make_baseline(read_evidence(make_build(tmp_path / "before", benchmark=BENCHMARK)))
    assert before.batch == 1
    rows = [{**row, "batch": 8} for row in BENCHMARK["rows"]]
    report = make_build(tmp_path / "after", benchmark={**BENCHMARK, "rows": rows})
    (found,) = gate(report, Limits(None, max_latency_ratio=1.05), before).criteria
    assert found.decision == "inconclusive"
    assert "timed at batch 8, the baseline at batch 1" in found.reason


def test_what_was_timed_on_a_busy_machine_decides_nothing(tmp_path):
    """A baseline of a busy runner would fail an honest build on a quiet one, or pass a slow one."""
    limits = Limits(None, min_speedup=1.0, max_latency_ratio=1.05)
    quiet = make_build(tmp_path / "quiet", benchmark={**BENCHMARK, "other_load_pct": 9.0})
    busy = make_build(tmp_path / "busy", benchmark={**BENCHMARK, "other_load_pct": 40.0})
    of_quiet, of_busy = (make_baseline(read_evidence(one)) for one in (quiet, busy))
    for report, before, decisions in (
        (quiet, of_quiet, ["pass", "pass"]),
        (quiet, of_busy, ["pass", "inconclusive"]),
        (busy, of_quiet, ["inconclusive", "inconclusive"]),
    ):
        found = gate(report, limits, before).criteria
        assert [one.decision for one in found] == decisions
    assert "this build was timed while other programs took 40 % of the CPU" in found[1].reason


def environment(fingerprint):
    return {**example_fields()["environment"], "fingerprint": fingerprint}


def test_a_baseline_sees_what_the_builds_own_fp32_hides(tmp_path):
    """A wrong mean or class order spoils FP32 as much as INT8: no drop between them."""
    before = make_baseline(read_evidence(make_build(tmp_path / "before", 10_000)))
    rows = [
        [sha(i), f"class {i % 4}", f"class {i * 7 % 4}", "1", f"class {i * 7 % 4}", "1"]
        for i in range(10_000)
    ]
    report = write_build_in(tmp_path / "after", rows)
    own, against = gate(report, Limits(), before).criteria
    assert (own.decision, own.measured) == ("pass", 0.0)
    assert (against.decision, against.name) == ("fail", "top1_drop_vs_baseline_pp")


def test_a_baseline_file_is_small_and_reads_back(tmp_path):
    baseline = make_baseline(read_evidence(make_build(tmp_path, 10_000, lost=20)))
    path = tmp_path / "baseline.json"
    write_baseline(baseline, path)
    assert read_baseline(path) == baseline
    assert path.stat().st_size < 500_000
    assert baseline.top1_pct == pytest.approx(99.8)
    assert baseline.said_of(sha(3)) == "class 0"  # one of those that INT8 lost


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "schema is None"),
        ('{"schema": "edge-convnext/baseline/9"}', "this version reads"),
        ('{"schema": "edge-convnext/baseline/1", "model": 3}', "gate REPORT --save-baseline"),
    ],
)
def test_a_foreign_baseline_is_refused(tmp_path, text, said):
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(ArtifactError, match=said):
        read_baseline(path)


def test_a_floor_of_top1_is_decided_by_its_interval(tmp_path):
    report = make_build(tmp_path, 1000, won=100)  # FP32 is wrong on 100 that INT8 has right
    decisions = {
        least: gate(report, Limits(None, min_top1_pct=least)).criteria[0].decision
        for least in (99.0, 100.0)
    }
    assert decisions == {99.0: "pass", 100.0: "inconclusive"}
    spoiled = make_build(tmp_path / "spoiled", 1000, lost=100)
    (found,) = gate(spoiled, Limits(None, min_top1_pct=95.0)).criteria
    assert (found.name, found.decision, found.measured) == ("top1_pct", "fail", 90.0)
    certain = gate(report, Limits(None, min_top1_pct=100.0)).criteria[0].reason
    assert "no number of images would settle it" in certain


@pytest.mark.parametrize(
    ("value", "strict"), [("true", True), ("1", True), ("false", False), ("0", False), ("", False)]
)
def test_a_gate_is_strict_where_ci_is_true(monkeypatch, value, strict):
    monkeypatch.setenv("CI", value)
    assert is_strict(None) is strict
    assert is_strict(not strict) is not strict


def test_ci_sees_why_a_report_was_refused(tmp_path):
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    report = make_build(tmp_path / "build", 1000, banner="digits")
    files = [tmp_path / "gate.xml", tmp_path / "gate.md"]
    result = run(report, "--junit", files[0], "--markdown", files[1], env=github)
    assert result.exit_code != 0
    assert result.stdout.startswith("::error title=edge-convnext gate::")
    case = ElementTree.parse(files[0]).getroot().find("testsuite/testcase/error")
    assert "is the demo's report" in case.get("message")
    assert "refused" in files[1].read_text(encoding="utf-8")
    assert "refused" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_what_could_pass_by_accident_is_refused(tmp_path):
    whole = make_build(tmp_path / "whole")
    with pytest.raises(ArtifactError, match="demo"):
        gate(make_build(tmp_path / "demo", banner="digits"))
    missing = without_measurements("evaluate", reason="no labelled images")
    with pytest.raises(ArtifactError, match=r"evaluate stage did not run \(no labelled images\)"):
        gate(make_build(tmp_path / "unlabelled", **missing))
    untimed = make_build(tmp_path / "untimed", **without_measurements("benchmark"))
    assert gate(untimed).decision == "pass"
    with pytest.raises(ArtifactError, match="benchmark stage did not run"):
        gate(untimed, Limits(min_speedup=1.1))
    with pytest.raises(ArtifactError, match="needs --baseline"):
        gate(whole, Limits(max_latency_ratio=1.1))
    with pytest.raises(ArtifactError, match="no limit"):
        gate(whole, Limits(max_drop_pp=None))
    float_build = make_build(tmp_path / "float", recipe={"precision": "fp32"})
    with pytest.raises(ArtifactError, match="is a build of FP32"):
        gate(float_build)


@pytest.mark.parametrize("file", ["model.int8.onnx", "predictions.csv"])
def test_files_that_are_not_the_reports_are_refused(tmp_path, file):
    report = make_build(tmp_path)
    path = tmp_path / file
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ArtifactError, match=f"{file}: is not the file"):
        gate(report)
    path.unlink()
    with pytest.raises(ArtifactError, match=f"{file}: is missing"):
        gate(report)


def test_the_command_names_the_flag_of_a_bad_limit(tmp_path):
    report, junit = make_build(tmp_path, 1000), tmp_path / "gate.xml"
    for flag, value in (("--min-agreement", 0.95), ("--min-top1", 20), ("--max-drop", 101)):
        found = run(report, flag, value, "--junit", junit)
        assert str(found.exception).startswith(f"{flag} is {value}")
        assert f"{flag} is {value}" in ElementTree.parse(junit).getroot()[0][0][0].get("message")


def test_exit_codes(tmp_path):
    passing = make_build(tmp_path / "passing", 10_000)
    failing = make_build(tmp_path / "failing", 10_000, lost=300)
    unsure = make_build(tmp_path / "unsure", 200)
    assert run(passing).exit_code == 0
    assert run(failing).exit_code == 1
    assert run(unsure).exit_code == 0
    assert run(unsure, "--strict").exit_code == 1
    assert run(unsure, env={"CI": "true"}).exit_code == 1
    assert run(unsure, "--no-strict", env={"CI": "true"}).exit_code == 0
    assert run(passing, "--preset", "mlperf-99", "--max-drop", "1").exit_code == 2
    assert isinstance(run(tmp_path / "nowhere").exception, ArtifactError)


def test_the_command_saves_explains_and_writes_what_ci_reads(tmp_path):
    before = make_build(tmp_path / "before", 1000)
    after = make_build(tmp_path / "after", 1000, lost=40)
    baseline, junit, comment = (tmp_path / name for name in ("b.json", "j.xml", "c.md"))
    assert run(before, "--save-baseline", baseline).exit_code == 0
    summary = tmp_path / "summary.md"
    arguments = (
        after,
        "--baseline",
        baseline,
        "--explain",
        "--junit",
        junit,
        "--markdown",
        comment,
    )
    result = run(*arguments, env={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)})
    assert result.exit_code == 1
    assert "40 images flipped against the baseline" in result.stdout
    assert "::error title=edge-convnext gate top1_drop_pp::" in result.stdout
    assert summary.read_text() == comment.read_text()
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    document = json.loads(run(*arguments[:4], "--json").stdout)
    assert (document["schema"], document["passed"]) == ("edge-convnext/gate/1", False)
    assert document["flips"]["classes"][0]["lost"] == 10


def test_a_failed_gate_leaves_the_baseline_as_it_is(tmp_path):
    passing, failing = make_build(tmp_path / "a", 1000), make_build(tmp_path / "b", 1000, lost=40)
    unsure, kept = make_build(tmp_path / "c", 200), tmp_path / "baseline.json"
    assert run(unsure, "--save-baseline", kept, "--strict", "-q").exit_code == 1
    assert not kept.exists()
    assert run(unsure, "--save-baseline", kept).exit_code == 0  # the first ever: of what passes
    assert len(read_baseline(kept).predictions) == 200
    assert "baseline written" in run(passing, "--save-baseline", kept).stderr
    before = kept.read_bytes()
    for quiet in ([], ["-q"]):
        result = run(failing, "--baseline", kept, "--save-baseline", kept, *quiet)
        assert result.exit_code == 1
        assert result.stderr == f"baseline not written to {kept}: the gate failed\n"
    result = run(failing, "--save-baseline", kept, "--json")
    assert json.loads(result.stdout)["baseline"] == {"path": str(kept), "written": False}
    assert kept.read_bytes() == before
    assert json.loads(run(passing, "--save-baseline", kept, "--json").stdout)["baseline"]["written"]


@pytest.mark.parametrize("which", ["--junit", "--markdown", "--save-baseline", "summary"])
@pytest.mark.parametrize("lost", [0, 100])
def test_a_file_that_can_t_be_written_hides_no_decision(tmp_path, which, lost):
    report = make_build(tmp_path / "build", lost=lost)
    (tmp_path / "file").touch()
    bad = tmp_path / "file" / "out"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(bad)}
    arguments = [] if which == "summary" else [which, bad]
    result = run(report, *arguments, env=github if which == "summary" else {})
    assert result.stdout.splitlines()[1].startswith("fail" if lost else "pass")
    if lost:
        assert result.exit_code == 1
        assert ("can't be written" in result.stderr) is (which != "--save-baseline")
    else:  # `cli.main` makes one line and exit code 3 of it
        assert isinstance(result.exception, OSError)
    fields = json.loads(run(report, "--json", *arguments, env={}).stdout)
    if which == "--save-baseline":
        assert fields["baseline"]["written"] is False


def test_a_refusal_is_told_though_its_file_can_t_be_written(tmp_path):
    (tmp_path / "file").touch()
    result = run(tmp_path / "none", "--junit", tmp_path / "file" / "out")
    assert isinstance(result.exception, ArtifactError)
    assert "can't be written" in result.stderr


def test_a_race_that_a_quota_stopped_decides_no_speed(tmp_path):
    limits = Limits(None, min_speedup=1.0)
    for periods, decision in ((None, "pass"), (0, "pass"), (7, "inconclusive")):
        fields = {**BENCHMARK, "throttled_periods": periods}
        report = make_build(tmp_path / str(periods), benchmark=fields)
        (found,) = gate(report, limits).criteria
        assert found.decision == decision
        why = why_no_baseline_of_speed(read_evidence(report)) or ""
        assert ("the CPU quota stopped this process in 7 periods" in why) is (periods == 7)
    assert "the CPU quota stopped this process in 7 periods" in found.reason


def new_folder(path):
    path.mkdir()
    return path


def test_what_is_below_guessing_fails_whatever_was_asked_for(tmp_path):
    rows = [[sha(i), f"class {i % 3}", f"class {(i + 1) % 3}", "1"] for i in range(45)]
    report = write_build(new_folder(tmp_path / "never"), [[*row, row[2], "1"] for row in rows])
    found = gate(report, Limits(max_drop_pp=1.0))
    assert (found.decision, found.passed(strict=False)) == ("fail", False)
    assert [one.name for one in found.criteria] == ["top1_drop_pp", "above_guessing_pct"]
    assert "INT8 is right in 0.00 % of 45 images" in found.criteria[1].reason
    mended = [[*row, row[1], "1"] for row in rows]  # FP32 alone is wrong, so INT8 is no INT8
    found = gate(write_build(new_folder(tmp_path / "fp32"), mended), Limits(max_drop_pp=1.0))
    assert "FP32 is right in 0.00 % of 45" in found.criteria[-1].reason


def test_a_weak_model_that_may_guess_is_told_and_the_usual_budget_stands(tmp_path):
    rows = [[sha(i), f"class {i % 3}", "class 0", "1", "class 0", "1"] for i in range(45)]
    found = gate(write_build(tmp_path, rows))
    assert [one.name for one in found.criteria] == ["top1_drop_pp"]
    assert "A budget of 1 pp fails no model: one that guesses loses 0.00 pp." in found.notes


def test_a_budget_is_told_as_it_was_stated(tmp_path):
    report = make_build(tmp_path, 1000)
    assert "a budget of 0.125 pp" in gate(report, Limits(max_drop_pp=0.125)).criteria[0].reason
    assert "a budget of 1.00 pp" in gate(report, Limits(max_drop_pp=1.0)).criteria[0].reason


def test_each_file_that_can_t_be_written_is_told_with_what_to_do(tmp_path):
    report = make_build(tmp_path / "build")
    (tmp_path / "file").touch()
    bad = tmp_path / "file"
    result = run(report, "--junit", bad / "a.xml", "--markdown", bad / "b.md")
    told = f"error: {bad / 'b.md'}: can't be written (File exists); choose another place"
    assert told in result.stderr
    assert isinstance(result.exception, OSError)
    assert result.exception.filename == str(bad / "a.xml")
    assert "choose another place for it" in result.exception.strerror


def test_a_baseline_of_another_schema_says_what_to_do(tmp_path):
    (tmp_path / "baseline.json").write_text('{"schema": "edge-convnext/baseline/99"}')
    with pytest.raises(ArtifactError, match=r"this version reads '.*'; .+"):
        read_baseline(tmp_path / "baseline.json")

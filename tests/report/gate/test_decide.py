"""Gates: what passes, what fails, what can't be told, and what is refused."""

import json
import re
import statistics
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from support.example_report import BENCHMARK, example_fields, without_measurements
from support.gate_builds import make_build, sha, write_build
from typer.testing import CliRunner

from edge_convnext.cli import app
from edge_convnext.core.errors import ArtifactError, RecipeError
from edge_convnext.core.intervals import (
    images_to_settle,
    paired_difference_interval,
    proportion_interval,
)
from edge_convnext.core.text import printable
from edge_convnext.report.gate.baseline import make_baseline, read_baseline, write_baseline
from edge_convnext.report.gate.decide import gate, is_strict
from edge_convnext.report.gate.evidence import read_evidence
from edge_convnext.report.gate.explain import explain
from edge_convnext.report.gate.limits import Limits
from edge_convnext.report.gate.outputs import (
    refusal_junit,
    to_annotations,
    to_junit,
    to_markdown,
    to_text,
)
from edge_convnext.report.gate.speed import why_no_baseline_of_speed
from edge_convnext.report.gate.testing import assert_gate
from edge_convnext.report.manifest import write_manifest


def run(*arguments, env=None):
    clean = {"CI": None, "GITHUB_ACTIONS": None, "GITHUB_STEP_SUMMARY": None, **(env or {})}
    return CliRunner().invoke(app, ["gate", *map(str, arguments)], env=clean)


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


def test_two_classes_of_many_that_changed_places_are_found_with_a_baseline(tmp_path):
    names = [f"c{i % 200}" for i in range(20_000)]
    other = {"c3": "c5", "c5": "c3"}
    rows = [[sha(i), name, name, "1", name, "1"] for i, name in enumerate(names)]
    before = make_baseline(read_evidence(write_build_in(tmp_path / "before", rows)))
    said = [other.get(name, name) for name in names]
    rows = [
        [sha(i), *pair, "1", pair[1], "1"] for i, pair in enumerate(zip(names, said, strict=True))
    ]
    report = write_build_in(tmp_path / "after", rows)
    own, top1, class_own, by_class = gate(report, Limits(max_class_drop_pp=20.0), before).criteria
    assert [one.decision for one in (own, class_own)] == ["pass", "pass"]
    assert (top1.measured, top1.decision) == (1.0, "inconclusive")  # both are 1 % of the images
    assert (by_class.name, by_class.decision) == ("class_drop_vs_baseline_pp", "fail")
    assert "drops by 100.00 pp against the baseline on its 100 images" in by_class.reason


def write_build_in(folder, rows, **changes):
    folder.mkdir(exist_ok=True)
    return write_build(folder, rows, **changes)


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


def test_a_baseline_of_other_images_or_another_model_is_refused(tmp_path):
    before = make_baseline(read_evidence(make_build(tmp_path / "before", 1000, classes=2)))
    names = [f"class {i % 2}" for i in range(1000)]
    rows = [[sha(i + 500), one, one, "1", one, "1"] for i, one in enumerate(names)]
    with pytest.raises(ArtifactError, match="shares 500 of 1000 images"):
        gate(write_build_in(tmp_path / "other images", rows), Limits(), before)
    model = {**json.loads((tmp_path / "before/report.json").read_text())["model"], "name": "tiny"}
    with pytest.raises(ArtifactError, match="is of tiny, the baseline of convnextv2_atto"):
        gate(make_build(tmp_path / "other model", model=model), Limits(), before)


def test_other_class_names_than_the_baselines_are_refused(tmp_path):
    """Every answer of the baseline would count as wrong, and nothing could be lost."""
    before = make_baseline(read_evidence(make_build(tmp_path / "before", 1000)))
    rows = [[sha(i), "renamed", "renamed", "1", "renamed", "1"] for i in range(1000)]
    with pytest.raises(ArtifactError, match="has no class 'class 0', which the baseline has"):
        gate(write_build_in(tmp_path / "after", rows), Limits(), before)


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


def test_a_report_that_was_edited_is_refused_by_its_manifest(tmp_path):
    report = make_build(tmp_path, 1000)
    write_manifest(tmp_path, sorted(tmp_path.glob("*")))
    assert gate(report).decision == "pass"
    report.write_text(report.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"report.json: is not the file that .*manifest.json"):
        gate(report)


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


@pytest.mark.parametrize(
    "limits",
    [
        {"max_drop_pp": -1.0},
        {"min_agreement_pct": 101.0},
        {"max_size_mb": float("nan")},
        {"kept_pct": 100.5},
    ],
)
def test_limits_out_of_range_are_refused(limits):
    with pytest.raises(RecipeError, match=next(iter(limits))):
        Limits(**limits)


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("min_agreement_pct", 0.95, "did you mean 95?"),
        ("min_top1_pct", 0.875, r"did you mean 87.5?"),
        ("min_top1_pct", 1.0, "did you mean 100?"),
        ("kept_pct", 0.99, "did you mean 99?"),
        ("min_agreement_pct", 0.0, "leave it out"),
        ("min_speedup", 0.2, "did you mean 1.2?"),
        ("max_drop_pp", 100.0, "fails no build; did you mean 1?"),
        ("max_class_drop_pp", 100.0, "fails no build; did you mean 1?"),
        ("max_drop_pp", 0.005, "did you mean 0.5?"),
        ("max_class_drop_pp", 0.049, "did you mean 4.9?"),
        ("max_latency_ratio", 105.0, "did you mean 1.05?"),
        ("max_size_mb", 4_300_000.0, "did you mean 4.3?"),
    ],
)
def test_a_number_that_fails_no_build_is_refused_with_what_was_meant(name, value, meant):
    with pytest.raises(RecipeError, match=re.escape(meant)) as caught:
        Limits(**{name: value})
    assert str(caught.value).startswith(f"{name} is ")


def test_sound_limits_are_taken_as_they_are():
    Limits(0.0, 1.1, 1.5, 0.5, min_speedup=0.5, max_latency_ratio=10.0, max_size_mb=10_000.0)
    Limits(0.05, max_class_drop_pp=99.0, min_speedup=0.0)


@pytest.mark.parametrize("name", ["min_top1_pct", "min_agreement_pct"])
def test_a_floor_that_guessing_reaches_is_none(tmp_path, name):
    report = make_build(tmp_path, 1000)  # four classes
    with pytest.raises(RecipeError, match=f"{name} is 24.9: guessing among 4 classes reaches 25"):
        gate(report, Limits(None, **{name: 24.9}))
    assert gate(report, Limits(None, **{name: 25.0})).decision == "pass"


def test_a_budget_that_guessing_keeps_is_refused(tmp_path):
    report = make_build(tmp_path, 1000)
    with pytest.raises(RecipeError) as caught:
        gate(report, Limits(max_drop_pp=75.0))
    assert str(caught.value) == (
        "max_drop_pp is 75: 75 pp fails no build, for one that guesses among 4 classes loses "
        "75.00 pp; state a smaller budget"
    )
    assert gate(report, Limits(max_drop_pp=74.0)).notes == ()


def test_the_command_names_the_flag_of_a_bad_limit(tmp_path):
    report, junit = make_build(tmp_path, 1000), tmp_path / "gate.xml"
    for flag, value in (("--min-agreement", 0.95), ("--min-top1", 20), ("--max-drop", 101)):
        found = run(report, flag, value, "--junit", junit)
        assert str(found.exception).startswith(f"{flag} is {value}")
        assert f"{flag} is {value}" in ElementTree.parse(junit).getroot()[0][0][0].get("message")


def test_a_preset_is_a_share_of_fp32s_accuracy():
    assert Limits.of_preset("mlperf-99").drop_budget_pp(90.0) == pytest.approx(0.9)
    assert Limits.of_preset("mlperf-99.9").drop_budget_pp(90.0) == pytest.approx(0.09)


# Attributes, those required first, and elements that may lie in it, of what JUnit XML has here.
_ANY = {"message", "type"}
_RULES = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        },
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name"},
        {"time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), _ANY, set()),
    "error": (set(), _ANY, set()),
    "skipped": (set(), _ANY, set()),
    "system-out": (set(), set(), set()),
}
_MIXED = {"failure", "error", "skipped", "system-out"}  # may hold text


def check_junit(text):
    """By the rules of junit-10.xsd of Jenkins' xUnit plugin."""
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        required, optional, inside = _RULES[element.tag]
        assert required <= set(element.attrib) <= required | optional, element.tag
        assert {child.tag for child in element} <= inside
        assert element.tag in _MIXED or not (element.text or "").strip()
    return root


def test_junit_is_valid_by_the_schema_it_cites(tmp_path):
    reports = [make_build(tmp_path / str(lost), 1000, lost) for lost in (0, 4, 60)]
    limits = Limits(min_agreement_pct=99.0, max_class_drop_pp=5.0, max_size_mb=1.0)
    kinds = set()
    for report in reports:
        for strict in (True, False):
            root = check_junit(to_junit(gate(report, limits), strict))
            kinds |= {child.tag for case in root[0].iter("testcase") for child in case}
    assert kinds == {"failure", "skipped", "system-out"}
    check_junit(refusal_junit("no report"))
    unsure = ElementTree.fromstring(to_junit(gate(reports[1], Limits()), False))
    assert unsure[0].get("skipped") == "1"


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


def test_flips_come_worst_first(tmp_path):
    found = explain(read_evidence(make_build(tmp_path, 1000, lost=9, won=3, classes=3)))
    drops = [one.drop_pp for one in found.classes]
    assert drops == sorted(drops, reverse=True)
    assert [flip.lost for flip in found.flips] == [True] * 9 + [False] * 3
    margins = [flip.margin for flip in found.flips[:9]]
    assert margins == sorted(margins, reverse=True)


HOSTILE = 'a|b<c>&"%\n::error::x\x07\x1b[2J[red]\u202e@octocat #1 ##[add-mask]x \ud800'


def test_outside_text_is_escaped_in_every_format(tmp_path):
    rows = [[sha(i), HOSTILE, HOSTILE, "1", "other", "1"] for i in range(500)]
    model = {**example_fields()["model"], "name": "atto\x1b\n"}
    build = write_build_in(tmp_path, [[*map(readable, row)] for row in rows], model=model)
    result = gate(build, Limits(None, max_class_drop_pp=1.0))
    drop, guessing = result.criteria
    assert (guessing.name, guessing.decision) == ("above_guessing_pct", "fail")
    assert "guessing would be on 33.33 %" in result.notes[0]
    result = replace(result, criteria=(replace(drop, reason=f"{HOSTILE} dropped."),), notes=())
    junit, markdown = to_junit(result, False), to_markdown(result, False)
    assert ElementTree.fromstring(junit).get("failures") == "1"
    (line,) = to_annotations(result, False).splitlines()
    assert 'a|b<c>&"%25\\x0a::error::x' in line
    assert "a\\|b\\<c\\>\\&" in markdown
    assert "@octocat" not in markdown  # would be told of it
    assert "#1" not in markdown
    text = to_text(result, False)
    assert len(text.splitlines()) == 3
    for shown in (junit, markdown, line, text):
        assert not [one for one in shown if ord(one) < 32 and one != "\n"]
        assert "\u202e" not in shown
        assert "##[" not in shown
        shown.encode()  # no half of a pair
    assert "[red]" in text  # nothing reads it as a style


def readable(text):
    """A CSV holds no halves of pairs."""
    return text.replace("\ud800", "")


def test_flips_and_paths_show_no_control_characters(tmp_path):
    label = readable(HOSTILE)
    rows = [[sha(i), label, label, "1", "other", "1"] for i in range(500)]
    build = write_build_in(tmp_path / "a\x1b[2Jb", rows)
    result = run(build, "--explain", "--save-baseline", tmp_path / "b\x1b.json")
    assert result.exit_code == 1
    assert "\\x1b[2J[red]\\u202e@octocat" in result.stdout
    assert r"b\x1b.json: the gate failed" in result.stderr
    for shown in (result.stdout, result.stderr):
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert not [line for line in shown.splitlines() if line.startswith("::")]


def test_printable_leaves_letters_of_any_language_alone():
    for text in ("crème brûlée 火\u3000災 😀", "C:\\new", "[b]x[/b]"):
        assert printable(text) == text
    assert printable("a\r\u2028\U000e0001") == r"a\x0d\u2028\U000e0001"


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


def test_the_assertion_is_as_strict_as_the_command(tmp_path, monkeypatch):
    unsure = make_build(tmp_path, 200)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(AssertionError, match="fails under --strict"):
        assert_gate(unsure)
    assert assert_gate(unsure, strict=False).decision == "inconclusive"
    monkeypatch.setenv("CI", "")
    assert assert_gate(unsure).decision == "inconclusive"


def test_the_assertion_shows_every_figure(tmp_path, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    assert assert_gate(make_build(tmp_path / "passing", 10_000)).decision == "pass"
    with pytest.raises(AssertionError, match=r"a drop of 3\.00 pp on 10,000 images"):
        assert_gate(make_build(tmp_path / "failing", 10_000, lost=300))
    unsure = make_build(tmp_path / "unsure", 200)
    assert assert_gate(unsure).decision == "inconclusive"
    with pytest.raises(AssertionError, match="fails under --strict"):
        assert_gate(unsure, strict=True)


def test_proportion_interval_is_wilsons():
    # 95 % of 81 of 263, from Newcombe, Statistics in Medicine 17 (1998), 857-872, table I.
    low, high = proportion_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert proportion_interval(0, 20)[0] == pytest.approx(0.0, abs=1e-12)
    assert proportion_interval(20, 20)[1] == pytest.approx(1.0)
    z = statistics.NormalDist().inv_cdf(0.975)
    assert proportion_interval(20, 20)[0] == pytest.approx(20 / (20 + z * z))
    with pytest.raises(ValueError, match="can't be among"):
        proportion_interval(3, 2)


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

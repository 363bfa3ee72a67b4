"""Baselines: what losses add up to, and what can't be compared."""

import json
import unicodedata
from dataclasses import replace

import pytest
from support.example_report import BENCHMARK, example_fields
from support.gate_builds import make_build, sha, write_build
from typer.testing import CliRunner

from edge_convnext.cli import app
from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.contract import HALF_SEARCHED
from edge_convnext.report.gate.baseline import make_baseline, read_baseline, write_baseline
from edge_convnext.report.gate.decide import gate
from edge_convnext.report.gate.evidence import read_evidence
from edge_convnext.report.gate.limits import Limits

CLASSES = ("ant", "bee", "cat", "dog")


def run(*arguments):
    clean = {"CI": None, "GITHUB_ACTIONS": None, "GITHUB_STEP_SUMMARY": None}
    return CliRunner().invoke(app, ["gate", *map(str, arguments)], env=clean)


def build(folder, wrong=0, n=2000, first=0, labels=CLASSES, said=CLASSES, **changes):
    """FP32 and INT8 alike are wrong on some images, from the number `first` on."""
    folder.mkdir(exist_ok=True)
    rows = []
    for i in range(n):
        label, answer = labels[i % 4], said[i % 4]
        answer = said[(i + 1) % 4] if first <= i < first + wrong else answer
        rows.append([sha(i), label, answer, "1", answer, "1"])
    return write_build(folder, rows, **changes)


def baseline_of(*arguments, **changes):
    return make_baseline(read_evidence(build(*arguments, **changes)))


def test_small_losses_add_up_against_the_best_proven_build(tmp_path):
    """Each loses 0.6 pp of a budget of 1.0, which 2,000 images can't tell from too much."""
    kept, codes, newest = tmp_path / "baseline.json", [], []
    for step in range(5):
        report = build(tmp_path / str(step), wrong=12 * step)
        known = ["--baseline", kept] if step else []
        result = run(report, *known, "--save-baseline", kept, "--json")
        codes.append(result.exit_code)
        criteria = {one["name"]: one for one in json.loads(result.stdout)["criteria"]}
        newest.append(criteria.get("top1_drop_vs_baseline_pp", {"decision": "pass"})["decision"])
        if result.exit_code:
            break
    assert codes == [0, 0, 0, 1]
    assert "fail" not in newest  # the build before never tells
    assert criteria["top1_drop_vs_best_pp"]["measured"] == pytest.approx(1.8)
    assert (
        "against the best proven build: a drop of 1.80 pp"
        in (criteria["top1_drop_vs_best_pp"]["reason"])
    )
    assert criteria["top1_drop_vs_baseline_pp"]["measured"] == pytest.approx(0.6)


def test_without_the_earlier_baseline_the_one_that_is_replaced_counts(tmp_path):
    kept = tmp_path / "baseline.json"
    for step in range(3):
        result = run(build(tmp_path / str(step), wrong=12 * step), "--save-baseline", kept)
        assert result.exit_code == 0
    assert "top-1 100.00 % where this one has 98.80 %" in result.stderr
    assert run(build(tmp_path / "next", wrong=36), "--baseline", kept).exit_code == 1
    other = build(tmp_path / "other", n=500)
    assert "it starts anew" in run(other, "--save-baseline", kept).stderr
    assert read_baseline(kept).best_predictions == {}


def test_only_a_proven_gain_moves_the_best(tmp_path):
    first = baseline_of(tmp_path / "first", wrong=40)
    luckier = make_baseline(read_evidence(build(tmp_path / "luckier", wrong=38)), first)
    assert (luckier.top1_pct, luckier.best_top1_pct) == (98.1, 98.0)
    assert len(luckier.best_predictions) == 2
    assert luckier.best.predictions == first.predictions
    better = make_baseline(read_evidence(build(tmp_path / "better", wrong=10)), luckier)
    assert (better.best_top1_pct, better.best_predictions) == (None, {})
    same = make_baseline(read_evidence(build(tmp_path / "same", wrong=10)), better)
    assert same.best_predictions == {}


def test_the_best_is_held_against_each_class_too(tmp_path):
    """A class that loses 6 % a time, and the others as much less: the mean never falls."""
    limits, kept = Limits(None, max_class_drop_pp=10.0), None
    decisions = []
    for step in range(4):
        rows = []
        for i in range(2000):
            label = CLASSES[i % 4]
            lost = label == "ant" and i // 4 < 30 * step
            won = label != "ant" and 90 - 30 * step <= i // 4 < 90 and label == "bee"
            wrong = lost or (label == "bee" and i // 4 < 90 and not won)
            answer = "dog" if wrong else label
            rows.append([sha(i), label, answer, "1", answer, "1"])
        (tmp_path / str(step)).mkdir()
        evidence = read_evidence(write_build(tmp_path / str(step), rows))
        result = gate(evidence.path, limits, kept)
        decisions.append({one.name: one.decision for one in result.criteria})
        kept = make_baseline(evidence, kept)
    assert kept.top1_pct == kept.best_top1_pct
    assert decisions[3]["class_drop_vs_baseline_pp"] != "fail"
    assert decisions[3]["class_drop_vs_best_pp"] == "fail"


def timed(ratio, spread=0.02, **changes):
    interval = [ratio - spread, ratio + spread]
    return {
        "benchmark": {
            **BENCHMARK,
            "speedup_vs_raw_fp32": ratio,
            "speedup_vs_raw_fp32_ci95": interval,
            **changes,
        }
    }


def test_small_losses_of_speed_add_up_too(tmp_path):
    limits, kept, decisions = Limits(None, max_latency_ratio=1.05), None, []
    for step, ratio in enumerate((2.5, 2.43, 2.36, 2.29)):  # 3 % slower each time
        evidence = read_evidence(build(tmp_path / str(step), **timed(ratio)))
        kept = kept or make_baseline(evidence)
        decisions.append([one.decision for one in gate(evidence.path, limits, kept).criteria])
        kept = make_baseline(evidence, kept)
    assert decisions[0] == ["pass"]
    assert [one[0] for one in decisions[1:]] == ["pass", "pass", "pass"]
    assert decisions[3][1] == "fail"
    assert kept.best_speed.speedup_vs_raw_fp32 == 2.5


@pytest.mark.parametrize(
    ("before", "after", "best"),
    [
        (timed(2.0), timed(2.5), None),  # proven faster
        (timed(2.0), timed(2.03), 2.0),
        (timed(2.0), timed(1.9, other_load_pct=50.0), 2.0),
        (timed(2.0, other_load_pct=50.0), timed(1.9), None),
        (timed(2.0), timed(1.9, throttled_periods=3), 2.0),
    ],
)
def test_the_best_speed_is_one_that_was_proven_in_quiet(tmp_path, before, after, best):
    earlier = baseline_of(tmp_path / "before", **before)
    made = make_baseline(read_evidence(build(tmp_path / "after", **after)), earlier)
    assert (made.best_speed and made.best_speed.speedup_vs_raw_fp32) == best


def test_the_best_speed_of_another_machine_is_forgotten(tmp_path):
    earlier = baseline_of(tmp_path / "before", **timed(2.0))
    elsewhere = {**example_fields()["environment"], "fingerprint": "another"}
    report = build(tmp_path / "after", environment=elsewhere, **timed(1.9))
    assert make_baseline(read_evidence(report), earlier).best_speed is None


def test_a_throttled_build_tells_nothing_of_speed(tmp_path):
    report = build(tmp_path, **timed(2.0, throttled_periods=3))
    (found,) = gate(report, Limits(None, min_speedup=1.0)).criteria
    assert found.decision == "inconclusive"
    assert "the CPU quota stopped this process in 3 periods" in found.reason


def test_a_baseline_with_a_best_build_reads_back(tmp_path):
    first = baseline_of(tmp_path / "first", wrong=2, **timed(2.0))
    made = make_baseline(read_evidence(build(tmp_path / "b", wrong=5, **timed(1.9))), first)
    assert made.best_predictions
    assert made.best_speed
    write_baseline(made, tmp_path / "baseline.json")
    assert read_baseline(tmp_path / "baseline.json") == made


def older(baseline, path):
    """A file as it was written before: of the newest build alone, without labels."""
    write_baseline(baseline, path)
    fields = json.loads(path.read_text())
    for name in ("best_predictions", "best_speed", "best_top1_pct", "classes", "labels",
                 "throttled_periods"):  # fmt: skip
        del fields[name]
    path.write_text(json.dumps({**fields, "schema": "edge-convnext/baseline/1"}))
    return read_baseline(path)


@pytest.mark.parametrize("number", ["NaN", "1e999"])
@pytest.mark.parametrize("name", ["top1_pct", "speedup_vs_best_float"])
def test_a_baseline_of_numbers_that_are_none_is_refused(tmp_path, name, number):
    path = tmp_path / "baseline.json"
    write_baseline(baseline_of(tmp_path / "build", **timed(2.0)), path)
    fields = {**json.loads(path.read_text()), name: "here"}
    path.write_text(json.dumps(fields).replace('"here"', number))
    with pytest.raises(ArtifactError, match=f"{name}: Input should be a finite number"):
        read_baseline(path)


def test_a_baseline_of_the_schema_before_is_still_compared_with(tmp_path):
    before = older(baseline_of(tmp_path / "before", wrong=4), tmp_path / "old.json")
    result = gate(build(tmp_path / "after", wrong=4), Limits(), before)
    assert [one.name for one in result.criteria] == ["top1_drop_pp", "top1_drop_vs_baseline_pp"]
    assert (result.decision, result.notes) == ("pass", ())
    made = make_baseline(read_evidence(build(tmp_path / "worse", wrong=12)), before)
    assert made.best_top1_pct == pytest.approx(99.8)


def test_a_baseline_of_another_precision_is_refused(tmp_path):
    before = replace(baseline_of(tmp_path / "before"), precision="fp16")
    with pytest.raises(ArtifactError, match="is a build of int8, the baseline of fp16"):
        gate(build(tmp_path / "after"), Limits(), before)


@pytest.mark.parametrize("old", [False, True])
def test_classes_that_changed_places_in_the_labels_are_refused(tmp_path, old):
    """Labels and answers are renamed alike: the build's own top-1 is whole, and nothing is lost."""
    before = baseline_of(tmp_path / "before", wrong=20)
    before = older(before, tmp_path / "old.json") if old else before
    swapped = ("bee", "ant", "cat", "dog")
    report = build(tmp_path / "after", wrong=20, labels=swapped, said=swapped)
    assert gate(report).decision == "pass"
    with pytest.raises(ArtifactError, match=r"'ant' became 'bee', 'bee' became 'ant'; .*--labels"):
        gate(report, Limits(), before)


@pytest.mark.parametrize(("old", "words"), [(False, "9 of 2,000"), (True, "at least 8 of 2,000")])
def test_a_few_labels_that_changed_are_told(tmp_path, old, words):
    before = baseline_of(tmp_path / "before")
    before = older(before, tmp_path / "old.json") if old else before
    (tmp_path / "after").mkdir()
    rows = [
        [sha(i), "dog" if i % 4 == 0 and i < 36 else CLASSES[i % 4], *[CLASSES[i % 4], "1"] * 2]
        for i in range(2000)
    ]
    notes = gate(write_build(tmp_path / "after", rows), Limits(), before).notes
    assert notes == (f"{words} images have another label than in the baseline.",)


def test_another_order_of_the_same_classes_is_told(tmp_path):
    before = replace(baseline_of(tmp_path / "before"), classes=("bee", "ant", "cat", "dog"))
    (note,) = gate(build(tmp_path / "after"), Limits(), before).notes
    assert "another order" in note
    assert "output 0 is 'ant' and was 'bee'" in note


def test_answers_that_changed_places_are_told(tmp_path):
    before = baseline_of(tmp_path / "before")
    result = gate(build(tmp_path / "after", said=("bee", "ant", "cat", "dog")), Limits(), before)
    assert result.decision == "fail"
    assert any("'ant' became 'bee'" in note and "order of the classes" in note
               for note in result.notes)  # fmt: skip


def test_class_names_are_compared_as_letters_and_not_as_bytes(tmp_path):
    """macOS writes é as two code points, Linux as one: no class is another for that."""
    names = ("café", "Grün", "naïve", "dog")
    apart = tuple(unicodedata.normalize("NFD", name) for name in names)
    for then, now in ((names, apart), (apart, names)):
        before = baseline_of(tmp_path / "before", labels=then, said=then)
        write_baseline(before, tmp_path / "baseline.json")
        kept = read_baseline(tmp_path / "baseline.json")
        result = gate(build(tmp_path / "after", labels=now, said=now), Limits(), kept)
        assert (result.decision, result.notes) == ("pass", ())
    mixed = build(tmp_path / "mixed", labels=names, said=apart)
    assert read_evidence(mixed).top1_pct == 100.0


def test_a_build_of_the_helper_compares_with_itself(tmp_path):
    report = make_build(tmp_path, 1000, lost=3)
    assert gate(report, Limits(), make_baseline(read_evidence(report))).notes == ()


def test_a_build_that_looked_for_a_fallback_on_half_of_the_images_is_comparable(tmp_path):
    """Its predictions are of the other half; before or after it the whole side was judged."""
    fallback = {
        "graph": "conv.inner",
        "kept_float": ["stem"],
        "quantized_ops": 54,
        "top1_drop_before_pp": 2.0,
        "top1_drop_pp": 1.5,
        "searched_on": HALF_SEARCHED,
        "n_searched": 1000,
        "n_judged": 1000,
        "sensitivity": [],
    }
    halved = {"fallbacks": [fallback]}
    whole, half = build(tmp_path / "whole"), build(tmp_path / "half", 15, n=1000, **halved)
    assert read_evidence(half).halved
    for report, before in ((half, whole), (whole, half)):
        baseline = make_baseline(read_evidence(before))
        drop = gate(report, Limits(max_drop_pp=5.0), baseline).criteria[-1]
        assert drop.name == "top1_drop_vs_baseline_pp"
        assert abs(drop.measured) == 1.5  # of 1,000 images, either way
        notes = " ".join(gate(report, Limits(max_drop_pp=5.0), baseline).notes)
        assert "looked for a fallback to float on half of the images" in notes
    again = make_baseline(read_evidence(half), make_baseline(read_evidence(whole)))
    assert again.halved
    assert again.best_top1_pct == 100.0  # what it lost against the whole build is not forgotten
    path = tmp_path / "baseline.json"
    write_baseline(again, path)
    assert read_baseline(path) == again
    other = build(tmp_path / "less", n=1000)  # of fewer images, without a word why
    with pytest.raises(ArtifactError, match="shares 1000 of 1000 images"):
        gate(other, Limits(), make_baseline(read_evidence(whole)))

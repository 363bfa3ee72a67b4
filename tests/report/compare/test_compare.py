"""Acceptance: equal builds show no difference; planted faults are named first."""

import csv

import pytest
from support.example_report import BENCHMARK
from support.gate_builds import make_build, sha, write_build

import edge_convnext
from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.gate.baseline import make_baseline, write_baseline
from edge_convnext.report.gate.evidence import read_evidence


def rows(path):
    with (path / "predictions.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


def rebuilt(folder, changed, **changes):
    folder.mkdir()
    write_build(folder, changed, **changes)
    return folder


@pytest.fixture
def build(tmp_path):
    make_build(tmp_path / "a", 2000, lost=20, won=10)
    return tmp_path / "a"


def test_two_builds_of_the_same_weights_show_no_difference(build, tmp_path):
    make_build(tmp_path / "b", 2000, lost=20, won=10)
    (pair,) = edge_convnext.compare(build, str(tmp_path / "b")).pairs
    assert pair.headline == "No difference shown."
    assert pair.counts == {"better": 0, "same": 6, "worse": 0, "unknown": 0}
    assert pair.class_counts == {"better": 0, "same": 4, "worse": 0, "unknown": 0}
    assert pair.changes == ()


def test_a_planted_loss_of_3_pp_is_named_first_and_is_a_gain_the_other_way(build, tmp_path):
    changed = rows(build)
    for one in changed[500:560]:
        one[4] = "class 3" if one[1] != "class 3" else "class 2"
    worse = rebuilt(tmp_path / "b", changed)
    (pair,) = edge_convnext.compare(build, worse).pairs
    assert pair.findings[0].measure == "top1_pct"
    assert pair.findings[0].outcome == "worse"
    assert pair.findings[0].change == pytest.approx(-3.0)
    assert pair.headline == pair.findings[0].text
    (back,) = edge_convnext.compare(worse, build).pairs
    assert back.counts["worse"] == 0
    assert back.headline.startswith("Top-1: 96.00 %")


def test_a_slower_graph_is_named_first(build, tmp_path):
    slower = {**BENCHMARK, "speedup_vs_raw_fp32": 1.6, "speedup_vs_raw_fp32_ci95": [1.55, 1.65]}
    now = rebuilt(tmp_path / "b", rows(build), benchmark=slower)
    (pair,) = edge_convnext.compare(build, now).pairs
    assert [one.outcome for one in pair.findings].count("worse") == 1
    assert pair.findings[0].measure == "latency_ratio"
    assert pair.headline.startswith("Latency: B takes 1.394 times A's")


def test_a_swapped_class_is_named_first(build, tmp_path):
    changed = rows(build)
    names = {"class 1": "class 2", "class 2": "class 1"}
    for one in changed:
        one[2], one[4] = names.get(one[2], one[2]), names.get(one[4], one[4])
    (pair,) = edge_convnext.compare(build, rebuilt(tmp_path / "b", changed)).pairs
    assert "'class 1' and 'class 2' changed places" in pair.headline


def test_several_are_each_compared_with_the_first_and_baselines_too(build, tmp_path):
    write_baseline(make_baseline(read_evidence(build)), tmp_path / "base.json")
    found = edge_convnext.compare(tmp_path / "base.json", build, build)
    assert [one.called for one in found.sides] == ["A", "B", "C"]
    assert [one.now.called for one in found.pairs] == ["B", "C"]
    assert "No difference shown in what could be compared; 2 could not." in found.pairs[0].headline
    twice = edge_convnext.compare(tmp_path / "base.json", tmp_path / "base.json").pairs[0]
    assert twice.counts["worse"] == twice.counts["better"] == 0


def test_nothing_in_common_is_told_as_such(build, tmp_path):
    other = [[sha(90_000 + index), *one[1:]] for index, one in enumerate(rows(build))]
    benchmark = {**BENCHMARK, "other_load_pct": 50.0}
    now = rebuilt(tmp_path / "b", other, benchmark=benchmark)
    (pair,) = edge_convnext.compare(build, now).pairs
    assert pair.counts["unknown"] == 4
    assert pair.headline == "No difference shown in what could be compared; 4 could not."


@pytest.mark.parametrize("count", [0, 1, 27])
def test_too_few_and_too_many_are_refused(build, count):
    with pytest.raises(ArtifactError, match=f"{count} given"):
        edge_convnext.compare(*[build] * count)

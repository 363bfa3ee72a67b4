import json
import os

import pytest
from support.example_report import BENCHMARK, example_fields
from support.gate_builds import make_build

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.gate.baseline import make_baseline, write_baseline
from edge_convnext.report.gate.evidence import read_evidence
from edge_convnext.report.history.entries import COLUMNS, SORTS, find_history, sort_entries


@pytest.fixture
def tree(tmp_path):
    """Two builds, a baseline, a bundle of noise, and one report that was edited."""
    first = make_build(tmp_path / "x/b", 100, label="two", created="2026-02-01T00:00:00Z")
    make_build(tmp_path / "a", 100, label="one", created="2026-03-01T00:00:00Z")
    write_baseline(make_baseline(read_evidence(first)), tmp_path / "x/base.json")
    (tmp_path / "x/tune.json").write_text('{"schema": "edge-convnext/tune/1"}')
    (tmp_path / "x/quoted.json").write_text('{"schema": "x", "of": "edge-convnext/baseline/2"}')
    edited = make_build(tmp_path / "c", 100)
    edited.write_text(edited.read_text().replace("potato", "tomato"))
    return tmp_path


def test_builds_and_baselines_are_found_the_oldest_first_and_the_rest_is_told(tree):
    found = find_history(tree)
    assert [one.path for one in found.entries] == ["x/b", "a", "x/base.json"]
    assert [one.kind for one in found.entries] == ["build", "build", "baseline"]
    assert [one.label for one in found.entries] == ["two", "one", None]
    (reason,) = found.skipped
    assert "c/report.json: is not the file" in reason


def test_figures_are_those_of_the_report(tree):
    one = find_history(tree).entries[0]
    assert (one.drop_pp, one.drop_low_pp, one.drop_high_pp) == (0.21, -0.62, 1.18)
    assert one.latency_ratio == pytest.approx(1 / BENCHMARK["speedup_vs_raw_fp32"])
    assert (one.ratio_low, one.ratio_high) == pytest.approx((1 / 2.26, 1 / 2.19))
    assert (one.ratio_over, one.busy, one.size_bytes) == ("raw FP32", None, 4_000_000)
    assert one.latency_ms == pytest.approx(2.56)
    assert len(COLUMNS) == len(set(COLUMNS))


def test_a_busy_machine_and_another_float_are_told(tmp_path):
    busy = {
        **BENCHMARK, "other_load_pct": 60.0, "speedup_vs_raw_fp32": None,
        "speedup_vs_raw_fp32_ci95": None,
    }  # fmt: skip
    make_build(tmp_path / "a", 10, benchmark=busy)
    (one,) = find_history(tmp_path).entries
    assert one.ratio_over == "best float"
    assert "60 %" in one.busy


def test_a_speed_up_of_nothing_is_no_ratio(tmp_path):
    nothing = {**BENCHMARK, "speedup_vs_raw_fp32": 5e-324, "speedup_vs_raw_fp32_ci95": [0.0, 0.0]}
    make_build(tmp_path / "a", 10, benchmark=nothing)
    (one,) = find_history(tmp_path).entries
    assert (one.latency_ratio, one.ratio_low, one.ratio_high) == (None, None, None)


def test_the_folder_itself_may_be_a_build(tmp_path):
    make_build(tmp_path, 10)
    assert find_history(tmp_path).entries[0].path == "."


def test_links_and_hidden_folders_are_passed_over(tmp_path):
    make_build(tmp_path / "a", 10)
    make_build(tmp_path / ".b", 10)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.json")
    assert [one.path for one in find_history(tmp_path).entries] == ["a"]


@pytest.mark.parametrize("by", SORTS)
def test_every_order_keeps_all_and_puts_what_has_no_value_last(tree, by):
    entries = find_history(tree).entries
    ordered = sort_entries(entries, by)
    assert sorted(one.path for one in ordered) == sorted(one.path for one in entries)
    if by in ("date", "label", "drop"):
        assert ordered[-1].path == "x/base.json"


def test_nothing_below_is_one_line_that_says_why(tmp_path):
    for path, why in ((tmp_path / "no", "no such folder"), (tmp_path, "no report.json")):
        with pytest.raises(ArtifactError, match=why):
            find_history(path)
    fields = example_fields(schema="edge-convnext/report/99")
    (tmp_path / "report.json").write_text(json.dumps(fields, default=str))
    with pytest.raises(ArtifactError, match="1 could not be read; the first"):
        find_history(tmp_path)
    with pytest.raises(ArtifactError, match="is a file"):
        find_history(tmp_path / "report.json")

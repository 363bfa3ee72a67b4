from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from support.races import QUICK, ROW, candidate, candidates_of
from support.tiny_graph import make_images, write_graph

from edge_convnext.core import quotas
from edge_convnext.core.errors import ArtifactError, InferenceError
from edge_convnext.measure import benchmark as module
from edge_convnext.measure import candidates
from edge_convnext.measure import turns as turns_module
from edge_convnext.measure.benchmark import (
    BenchmarkResult,
    benchmark,
    judge,
    speedup,
)
from edge_convnext.measure.to_report import report_row
from edge_convnext.runtimes import RuntimeInfo


def test_a_row_says_what_ran_and_how_fast(tmp_path):
    path = write_graph(tmp_path / "g.onnx")
    pair = [
        *candidates_of(path, "a"),
        candidate("b", path, "int8", "conv", "pointwise", "openvino", "f32"),
    ]
    config = QUICK.model_copy(update={"batches": (1, 4)})
    result = benchmark(pair, make_images(2), config, measure_memory=False)
    assert [(row.artifact, row.batch) for row in result.rows] == [
        ("a", 1),
        ("b", 1),
        ("a", 4),
        ("b", 4),
    ]
    assert [info.batch for info in result.runtimes] == [1, 1, 4, 4]
    row = result.row("b", 4)
    assert row.candidate is pair[1]
    assert (row.candidate.runtime, row.candidate.hint, row.threads, row.rounds) == (
        "openvino",
        "f32",
        1,
        7,
    )
    assert row.samples >= 21
    assert row.samples % row.rounds == 0
    assert len(row.round_latency_ms_p50) == 7
    assert row.size_bytes == path.stat().st_size
    assert row.latency_ms_p50 > 0
    assert row.throughput_img_s > 0
    json.dumps(report_row(row, row.artifact).model_dump(mode="json"), allow_nan=False)
    assert result.other_load_pct is None or 0 <= result.other_load_pct <= 100


def test_what_is_behind_after_the_first_rounds_has_no_others(tmp_path):
    trio = candidates_of(write_graph(tmp_path / "g.onnx"), "a", "b", "c")
    seen = []

    def narrow(result):
        seen.extend((row.artifact, row.rounds, row.samples > 0) for row in result.rows)
        return {"a", "c"}

    config = QUICK.model_copy(update={"rounds": 9})
    result = benchmark(trio, make_images(2), config, measure_memory=False, narrow=narrow)
    assert seen == [("a", 6, True), ("b", 6, True), ("c", 6, True)]
    assert [(row.artifact, row.rounds) for row in result.rows] == [("a", 9), ("b", 6), ("c", 9)]
    assert [len(result.turns[name, 1].calls) for name in "abc"] == [9, 6, 9]
    assert speedup(result, "a", "b", 1).rounds == 6  # those that both have
    assert speedup(result, "a", "c", 1).rounds == 9
    few = QUICK.model_copy(update={"rounds": 6})
    benchmark(trio, make_images(2), few, measure_memory=False, narrow=lambda _: pytest.fail("?"))


def test_the_periods_in_which_a_quota_stopped_the_rounds_are_counted(tmp_path, monkeypatch):
    told = iter([100, 103, 200, 204, 300, 305])  # before and after: two batches, then the judging
    monkeypatch.setattr(module, "read_throttling", lambda *_: next(told))
    monkeypatch.setattr(quotas, "read_throttling", lambda *_: next(told))
    pair = candidates_of(write_graph(tmp_path / "g.onnx"), "a", "b")
    config = QUICK.model_copy(update={"batches": (1, 4)})
    result = benchmark(pair, make_images(2), config, measure_memory=False)
    assert result.throttled_periods == 7
    assert judge(result, pair, make_images(2), config).throttled_periods == 12


class Recorder:
    """A runtime that notes who runs."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def infer(self, images):
        self.log.append((self.name, len(images)))
        return np.zeros((len(images), 2), np.float32)

    def describe(self):
        return RuntimeInfo(self.name, "0", 1, None, {})


def record_turns(tmp_path, monkeypatch, seed):
    """Names in the order of the turns, whatever the number of inferences in each."""
    log = []
    monkeypatch.setattr(
        candidates, "load_runtime", lambda name, path, options: Recorder(path.stem, log)
    )
    monkeypatch.setattr(turns_module, "_choose_count", lambda model, inputs, config: 3)
    made = []
    for name in "abc":
        (tmp_path / f"{name}.onnx").write_bytes(b"x")
        made += candidates_of(tmp_path / f"{name}.onnx", name)
    shown = []

    def track(items, what, total=None):
        shown.append((what, total))
        return items

    config = QUICK.model_copy(update={"rounds": 20, "batches": (2,), "warmup": 2})
    benchmark(made, make_images(1), config, seed=seed, track=track, measure_memory=False)
    assert shown == [("timing batch 2", 20)]
    assert {batch for _, batch in log} == {2}
    return [name for name, _ in log[::5]]


def test_candidates_take_turns_within_every_round(tmp_path, monkeypatch):
    turns = record_turns(tmp_path, monkeypatch, seed=0)
    rounds = [tuple(turns[start : start + 3]) for start in range(0, 60, 3)]
    assert all(sorted(turn) == ["a", "b", "c"] for turn in rounds)
    assert len(set(rounds)) > 1  # no candidate always follows the same one
    assert record_turns(tmp_path, monkeypatch, seed=0) == turns
    assert record_turns(tmp_path, monkeypatch, seed=1) != turns


@pytest.mark.parametrize(
    ("rounds", "inferences", "p90", "p99"),
    [(3, 33, False, False), (4, 25, True, False), (10, 99, True, False), (10, 100, True, True)],
)
def test_percentiles_without_enough_samples_are_null(
    tmp_path, monkeypatch, rounds, inferences, p90, p99
):
    monkeypatch.setattr(candidates, "load_runtime", lambda name, path, options: Recorder("a", []))
    monkeypatch.setattr(turns_module, "_choose_count", lambda model, inputs, config: inferences)
    path = write_graph(tmp_path / "g.onnx")
    config = QUICK.model_copy(update={"rounds": rounds})
    result = benchmark(candidates_of(path, "a"), make_images(1), config, measure_memory=False)
    row = result.rows[0]
    assert row.samples == rounds * inferences
    assert (row.latency_ms_p90 is not None, row.latency_ms_p99 is not None) == (p90, p99)


def make_result(rounds_ms: dict[str, tuple[float, ...]]) -> BenchmarkResult:
    rows = [
        dataclasses.replace(ROW, candidate=candidate(name), rounds=len(ms), round_latency_ms_p50=ms)
        for name, ms in rounds_ms.items()
    ]
    return BenchmarkResult(tuple(rows), ())


def test_a_speedup_pairs_the_rounds():
    slow_minutes = (1.0, 1.0, 5.0, 1.0, 9.0, 1.0, 1.0)  # of the machine: both suffer alike
    result = make_result({"raw": tuple(2 * ms for ms in slow_minutes), "int8": slow_minutes})
    ratio = speedup(result, "int8", "raw", batch=1)
    assert (ratio.median, ratio.ci95_lo, ratio.ci95_hi, ratio.rounds) == (2.0, 2.0, 2.0, 7)
    assert speedup(result, "raw", "int8", batch=1).median == 0.5


def test_a_speedup_of_few_rounds_has_no_interval():
    ratio = speedup(make_result({"raw": (2.0,) * 5, "int8": (1.0,) * 5}), "int8", "raw", 1)
    assert (ratio.median, ratio.ci95_lo, ratio.ci95_hi, ratio.rounds) == (2.0, None, None, 5)


def test_a_row_that_was_not_measured_is_named():
    with pytest.raises(KeyError, match="no benchmark of 'int8' at batch 8"):
        make_result({"raw": (1.0,)}).row("int8", 8)


def test_a_graph_of_another_fixed_batch_is_not_timed_in_pieces(tmp_path):
    path = write_graph(tmp_path / "g.onnx", batch=1)
    config = QUICK.model_copy(update={"batches": (8,)})
    with pytest.raises(InferenceError, match="exported for batch 1 and can't be timed at batch 8"):
        benchmark(candidates_of(path, "a"), make_images(1), config, measure_memory=False)


def test_candidates_need_names_of_their_own_and_files_that_exist(tmp_path):
    path = write_graph(tmp_path / "g.onnx")
    with pytest.raises(ValueError, match="different names"):
        benchmark(candidates_of(path, "a", "a"), make_images(1), QUICK)
    with pytest.raises(ArtifactError, match=r"none\.onnx"):
        benchmark(candidates_of(tmp_path / "none.onnx", "a"), make_images(1), QUICK)


def test_a_batch_that_is_too_large_is_asked_for_by_both_sides(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "why_too_large", lambda *size: asked.append(size) or "too large")
    pair = candidates_of(write_graph(tmp_path / "g.onnx"), "a")
    with pytest.raises(InferenceError, match="too large"):
        benchmark(pair, np.zeros((1, 3, 64, 96), np.float32), QUICK)
    assert asked == [(QUICK.batches[0], 3, (64, 96))]

"""The two parts of a race: rounds that choose, and rounds of fresh loads that judge."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from support.races import QUICK, ROW, candidate, candidates_of
from support.tiny_graph import make_images, write_graph

from edge_convnext.core.intervals import median_interval
from edge_convnext.measure import candidates, turns
from edge_convnext.measure.benchmark import BenchmarkResult, benchmark, judge, judge_rounds, speedup
from edge_convnext.measure.speed import in_the_running, slowest_to_beat
from edge_convnext.measure.timings import Judged, Turns
from edge_convnext.runtimes import RuntimeInfo
from edge_convnext.runtimes.openvino import runner


def race(judged=None, gpu=(), **rounds_ms):
    """A result with these rounds; those of a GPU's own time for the names in `gpu`."""
    rows = [
        replace(
            ROW,
            candidate=candidate(name),
            round_latency_ms_p50=tuple(ms),
            round_gpu_ms_p50=tuple(gpu[name]) if name in gpu else (),
        )
        for name, ms in rounds_ms.items()
    ]
    return BenchmarkResult(tuple(rows), (), judged=judged)


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        (1, (1, 1)),
        (5, (5, 1)),
        (6, (6, 1)),
        (9, (9, 1)),
        (10, (9, 2)),
        (20, (9, 3)),
        (100, (9, 12)),
    ],
)
def test_as_many_rounds_judge_as_choose_in_at_most_nine_loads(rounds, expected):
    assert judge_rounds(rounds) == expected


def test_two_finalists_are_told_apart_by_the_rounds_that_judge_alone():
    """Twice as fast where it was chosen, and not at all where it is judged."""
    judged = Judged(("int8", "fp32"), 1, loads=6, rounds=2)
    result = race(judged, int8=[1.0] * 7 + [2.0] * 12, fp32=[2.0] * 19, other=[3.0] * 7)
    ratio = speedup(result, "int8", "fp32", 1)
    assert (ratio.median, ratio.ci95_lo, ratio.ci95_hi) == (1.0, 1.0, 1.0)
    assert (ratio.rounds, ratio.loads) == (12, 6)
    against_other = speedup(result, "int8", "other", 1)  # which was not judged
    assert (against_other.median, against_other.rounds, against_other.loads) == (3.0, 7, 1)
    assert result.selecting_ms("int8", 1) == 1.0
    assert result.selecting_ms("fp32", 1) == 2.0


def test_a_load_is_one_observation_the_median_of_its_rounds():
    """Rounds within a load agree, loads do not: the interval is that of six values."""
    of_loads = (0.90, 0.95, 1.00, 1.10, 1.20, 1.30)
    slow = [value for value in of_loads for value in (value, 9.0, value)]
    judged = Judged(("a", "b"), 1, loads=6, rounds=3)
    ratio = speedup(race(judged, a=[1.0] * 19, b=[5.0, *slow]), "a", "b", 1)
    assert ratio.median == pytest.approx(1.05)
    assert (ratio.ci95_lo, ratio.ci95_hi) == median_interval(of_loads) == (0.90, 1.30)


def test_another_batch_size_than_the_judged_one_is_told_from_the_rounds_that_chose():
    judged = Judged(("a", "b"), 1, loads=6, rounds=1)
    result = race(judged, a=[1.0] * 13, b=[2.0] * 13)
    eight = tuple(replace(row, batch=8, round_latency_ms_p50=(4.0,) * 7) for row in result.rows)
    both = replace(result, rows=result.rows + eight)
    assert speedup(both, "a", "b", 8).loads == 1
    assert speedup(both, "a", "b", 8).rounds == 7
    assert speedup(both, "a", "b", 1).loads == 6


def test_of_all_rivals_the_one_that_is_beaten_least_surely_counts():
    noisy = [2.0, 2.1, 0.9, 3.0, 2.0, 2.2, 2.5]
    result = race(int8=[1.0] * 7, steady=[1.5] * 7, noisy=noisy, slow=[5.0] * 7)
    name, ratio = slowest_to_beat(result, "int8", ["slow", "noisy", "steady"], 1)
    assert (name, ratio.ci95_lo) == ("noisy", 0.9)
    name, ratio = slowest_to_beat(result, "int8", ["slow", "steady"], 1)
    assert (name, ratio.median) == ("steady", 1.5)


def test_what_may_be_the_fastest_is_in_the_running_and_the_rest_is_not():
    rounds = {"best": 1.0, "load": 1.029, "past": 1.031, "far": 1.4}
    result = race(**{name: [ms] * 7 for name, ms in rounds.items()})
    assert in_the_running(result, ["far", "past", "load", "best"], 1) == ["best", "load"]
    unsure = [1.0, 1.0, 1.0, 1.3, 1.3, 1.3, 1.3]
    result = race(best=[1.0] * 7, unsure=unsure)
    assert in_the_running(result, ["unsure", "best"], 1) == ["best", "unsure"]
    assert in_the_running(result, [], 1) == []


def test_of_many_near_equals_the_fastest_twelve_are_judged():
    result = race(**{f"n{place}": [1.0 + place / 1000] * 7 for place in range(15)})
    names = [f"n{place}" for place in range(15)]
    assert in_the_running(result, names[::-1], 1) == names[:12]


def test_on_a_gpu_what_is_faster_in_its_own_time_stays_in_the_running():
    """FP16 has the longer calls, for its copies, and the shorter launches."""
    gpu = {"fp32": [0.4] * 7, "fp16": [0.3] * 7}
    result = race(gpu=gpu, fp32=[0.45] * 7, fp16=[0.50] * 7)
    assert in_the_running(result, ["fp32", "fp16"], 1) == ["fp16"]
    cpu = race(gpu=gpu, fp32=[0.45] * 7, fp16=[0.50] * 7, cpu=[0.40] * 7)
    assert in_the_running(cpu, ["fp32", "fp16", "cpu"], 1) == ["cpu"]


ALIVE = weakref.WeakSet()
MOST = [0]  # that were alive at once


class Loaded:
    """A runtime that counts those of its kind that are alive."""

    def __init__(self, name):
        self.name = name
        ALIVE.add(self)
        MOST[0] = max(MOST[0], len(ALIVE))

    def infer(self, images):
        return np.zeros((len(images), 2), np.float32)

    def describe(self):
        return RuntimeInfo(self.name, "0", 1, None, {})


@pytest.fixture
def loads(monkeypatch):
    """Names in the order in which they are loaded."""
    found = []

    def load(runtime, path, options):
        found.append(path.stem)
        return Loaded(path.stem)

    monkeypatch.setattr(candidates, "load_runtime", load)
    monkeypatch.setattr(turns, "_choose_count", lambda model, inputs, config: 3)
    return found


def run_race(tmp_path, loads, config, finalists="ab"):
    made = []
    for name in "abcd":
        (tmp_path / f"{name}.onnx").write_bytes(b"x")
        made += candidates_of(tmp_path / f"{name}.onnx", name)
    first = benchmark(made, make_images(1), config, measure_memory=False)
    assert loads == ["a", "b", "c", "d"] * len(config.batches)
    gc.collect()
    loads.clear()
    MOST[0] = 0
    chosen = [one for one in made if one.name in finalists]
    return first, judge(first, chosen, make_images(1), config)


def test_finalists_are_loaded_afresh_in_new_orders_and_one_of_each_at_a_time(tmp_path, loads):
    config = QUICK.model_copy(update={"rounds": 20, "batches": (4, 1)})
    _, result = run_race(tmp_path, loads, config)
    pairs = [tuple(loads[start : start + 2]) for start in range(0, len(loads), 2)]
    assert len(pairs) == 9
    assert set(pairs) == {("a", "b"), ("b", "a")}
    assert MOST[0] == 2
    assert result.judged == Judged(("a", "b"), 1, 9, 3)


def test_what_a_graph_compiles_to_is_kept_for_the_loads_that_judge_and_removed(
    tmp_path, monkeypatch
):
    compiled, folders = [], []

    def compile_it(core, path, batch, options):
        compiled.append(path)
        return real(core, path, batch, options)

    def keep(core, path, batch, options, folder, compile_now):
        folders.append(folder)
        return really_keep(core, path, batch, options, folder, compile_now)

    real, really_keep = runner._compile, runner._compile_or_import
    monkeypatch.setattr(runner, "_compile", compile_it)
    monkeypatch.setattr(runner, "_compile_or_import", keep)
    pair = [
        candidate(name, write_graph(tmp_path / f"{name}.onnx", seed=seed), runtime="openvino")
        for name, seed in (("a", 1), ("b", 2))
    ]
    images = make_images(1)
    result = benchmark(pair, images, QUICK, measure_memory=False)
    assert len(compiled) == len(pair)  # in the race, to which a graph is loaded once
    assert folders == []
    judge(result, pair, images, QUICK)
    assert len(compiled) == 2 * len(pair)
    assert len(folders) == judge_rounds(QUICK.rounds)[0] * len(pair)
    assert len(set(folders)) == 1
    assert not folders[0].exists()


def test_rows_have_the_rounds_of_both_parts_and_others_stay(tmp_path, loads):
    config = QUICK.model_copy(update={"rounds": 20, "batches": (4, 1)})
    first, result = run_race(tmp_path, loads, config)
    assert [row.rounds for row in result.rows] == [20] * 4 + [47, 47, 20, 20]
    row, before = result.row("a", 1), first.row("a", 1)
    assert row.round_latency_ms_p50[:20] == before.round_latency_ms_p50
    assert len(row.round_latency_ms_p50) == 47
    assert row.samples == 47 * 3
    calls = np.concatenate([np.asarray(turn) for turn in result.turns["a", 1].calls])
    assert row.latency_ms_p50 == np.percentile(calls, 50)
    assert result.rows[:4] == first.rows[:4]
    assert result.row("c", 1) == first.row("c", 1)
    assert result.selecting_ms("a", 1) == first.selecting_ms("a", 1)
    assert speedup(result, "a", "b", 1).loads == 9
    assert result.runtimes == first.runtimes


def test_a_row_is_computed_from_every_inference():
    row = replace(ROW, batch=2).timed(Turns(((1.0, 3.0), (2.0, 2.0)), ((0.5,), (0.7,))))
    assert (row.latency_ms_p50, row.samples, row.rounds) == (2.0, 4, 2)
    assert row.round_latency_ms_p50 == (2.0, 2.0)
    assert row.throughput_img_s == 1000.0
    assert (row.gpu_ms_p50, row.round_gpu_ms_p50) == (0.6, (0.5, 0.7))

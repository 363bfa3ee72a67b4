"""A race: all are timed, what was chosen is judged, and a busy machine is waited for."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.races import candidate

from edge_convnext.measure import race as module
from edge_convnext.measure.race import race
from edge_convnext.measure.timings import BenchmarkResult
from edge_convnext.networks.recipe_file import make_recipe

A, B, C = (candidate(name) for name in "abc")
IMAGES = np.zeros((1, 3, 4, 4), np.float32)
RECIPE = make_recipe({"model": "convnextv2_atto", "seed": 7})


@pytest.fixture
def calls(monkeypatch):
    """What was timed, and then judged."""
    found = []

    def benchmark(candidates, images, config, *rest, measure_memory, narrow=None):
        found.append((candidates, images, config, *rest))
        narrowed.append(narrow)
        memory.append(measure_memory)
        rows = tuple(
            SimpleNamespace(artifact=one.name, batch=batch)
            for batch in config.batches
            for one in candidates
        )
        return BenchmarkResult(rows, ())

    def judge(timings, *arguments):
        assert timings.judged is None
        found.append(arguments)
        return replace(timings, judged="judged")

    memory, narrowed = [], []
    monkeypatch.setattr(module, "benchmark", benchmark)
    monkeypatch.setattr(module, "judge", judge)
    found_memory = SimpleNamespace(calls=found, memory=memory, narrowed=narrowed)
    monkeypatch.setattr(
        module, "add_memory", lambda timings, left, *_: found.append(("memory", left)) or timings
    )
    return found_memory


def test_all_are_timed_and_the_finalists_are_judged_each_once(calls):
    chosen_from = []

    def finalists(timings):
        chosen_from.append(timings)
        return [C, A, C]

    found = race([A, B, C, A], IMAGES, RECIPE, finalists, "track")
    assert [one.judged for one in chosen_from] == [None]  # by the rounds that choose
    assert found.timings.judged == "judged"
    rest = (RECIPE.benchmark, 7, "track")
    timed = [([A, B, C], *rest), ([C, A], *rest)]
    assert [(given[0], *given[2:]) for given in calls.calls] == timed
    assert all(given[1] is IMAGES for given in calls.calls)
    assert (calls.memory, found.timings.timed_once) == ([True], ())


def test_one_batch_size_decides_and_at_the_others_runs_what_it_leaves(calls):
    left_of = []

    def left(timings):
        left_of.append((timings.judged, [row.batch for row in timings.rows]))
        return [C, A]

    found = race([A, B, C], IMAGES, RECIPE, lambda _: [A], "track", left, lambda _: [C])
    first, judged, second, memory = calls.calls
    assert (first[0], first[2].batches, first[2].rounds) == ([A, B, C], (1,), 20)
    assert judged[0] == [A]
    assert left_of == [("judged", [1, 1, 1])]
    assert memory == ("memory", [C, A])
    assert (second[0], second[2].batches, second[2].rounds) == ([C, A], (8,), 6)
    assert (first[2].warmup, second[2].warmup) == (3, 1)
    assert calls.memory == [False, False]
    narrow, none = calls.narrowed
    assert none is None
    assert narrow(SimpleNamespace(judged=None, rows=())) == {C.name}
    assert found.timings.timed_once == (B.name,)
    rows = [(row.artifact, row.batch) for row in found.timings.rows]
    assert rows == [(A.name, 1), (B.name, 1), (C.name, 1), (C.name, 8), (A.name, 8)]


def test_without_other_batch_sizes_memory_alone_is_left_to_measure(calls):
    once = RECIPE.benchmark.model_copy(update={"batches": (4,)})
    recipe = RECIPE.model_copy(update={"benchmark": once})
    race([A, B], IMAGES, recipe, lambda _: [A], "track", lambda _: [A])
    assert [one[0] for one in calls.calls] == [[A, B], [A], "memory"]


@pytest.mark.parametrize("left", [None, lambda _: [A]])
def test_no_memory_is_measured_where_none_is_wanted(calls, left):
    race([A, B], IMAGES, RECIPE, lambda _: [A], "track", left, measure_memory=False)
    assert not any(calls.memory)
    assert "memory" not in [one[0] for one in calls.calls]


def test_the_time_that_choosing_takes_is_not_the_races(calls, monkeypatch):
    clock = iter([0.0, 2.0, 100.0, 103.0])
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert race([A], IMAGES, RECIPE, lambda _: [A], "track").seconds == 5.0


def test_the_race_waits_as_long_as_the_recipe_says_for_a_quiet_machine(calls, monkeypatch):
    asked = []

    def race_in_quiet(once, minutes, load, track):
        asked.append((minutes, track))
        found = once()
        assert load(found) is found.timings.other_load_pct
        return found

    monkeypatch.setattr(module, "race_in_quiet", race_in_quiet)
    waiting = RECIPE.benchmark.model_copy(update={"wait_quiet_min": 4.0})
    recipe = RECIPE.model_copy(update={"benchmark": waiting})
    race([A], IMAGES, recipe, lambda _: [A], "track")
    assert asked == [(4.0, "track")]

"""A race: all are timed, what was chosen is judged, and a busy machine is waited for."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.races import candidate

from edge_convnext.measure import race as module
from edge_convnext.measure.race import race
from edge_convnext.networks.recipe_file import make_recipe

A, B, C = (candidate(name) for name in "abc")
IMAGES = np.zeros((1, 3, 4, 4), np.float32)
RECIPE = make_recipe({"model": "convnextv2_atto", "seed": 7})


@pytest.fixture
def calls(monkeypatch):
    """What was timed, and then judged."""
    found = []

    def benchmark(*arguments):
        found.append(arguments)
        return SimpleNamespace(other_load_pct=None, judged=False)

    def judge(timings, *arguments):
        assert timings.judged is False
        found.append(arguments)
        return SimpleNamespace(other_load_pct=None, judged=True)

    monkeypatch.setattr(module, "benchmark", benchmark)
    monkeypatch.setattr(module, "judge", judge)
    return found


def test_all_are_timed_and_the_finalists_are_judged_each_once(calls):
    chosen_from = []

    def finalists(timings):
        chosen_from.append(timings)
        return [C, A, C]

    found = race([A, B, C, A], IMAGES, RECIPE, finalists, "track")
    assert [one.judged for one in chosen_from] == [False]  # by the rounds that choose
    assert found.timings.judged is True
    rest = (RECIPE.benchmark, 7, "track")
    assert [(given[0], *given[2:]) for given in calls] == [([A, B, C], *rest), ([C, A], *rest)]
    assert all(given[1] is IMAGES for given in calls)


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

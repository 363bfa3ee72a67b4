"""What a remembered race is worth: a guess of a busy machine stands until the machine is quiet."""

import pytest

from edge_convnext.build import race_memory
from edge_convnext.build.race_memory import Remembered, race_or_remember
from edge_convnext.build.runner import Runner
from edge_convnext.core.cache import Cache
from edge_convnext.core.progress import untracked
from edge_convnext.core.step import Stage
from edge_convnext.networks.recipe_file import make_recipe

STAGE = Stage("quick-race", 1, folder="tune")


class Machine:
    """Races one after the other, each with its number as its only time."""

    def __init__(self, folder, monkeypatch, *loads_pct):
        self.loads_pct, self.races, self.now, self.looked = list(loads_pct), 0, None, 0
        self.runner = Runner(Cache(folder), make_recipe({}), {}, untracked)
        monkeypatch.setattr(race_memory, "measure_load", self.look)

    def look(self):
        self.looked += 1
        return self.now

    def race(self):
        self.races += 1
        return {"rounds": {"a": [float(self.races)]}, "other_load_pct": self.loads_pct.pop(0)}

    def build(self, now=None):
        self.now = now
        found = race_or_remember(self.runner, STAGE, self.race, {"float": "digest"})
        return found.rounds["a"][0], found.load_pct, found.before_pct


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return lambda *loads_pct: Machine(tmp_path / "cache", monkeypatch, *loads_pct)


def test_a_quiet_race_is_remembered_and_nobody_looks_again(machine):
    own = machine(10.0)  # as much as is still quiet
    assert own.build(0.0) == own.build(0.0) == (1.0, 10.0, None)
    assert (own.races, own.looked) == (1, 0)


@pytest.mark.parametrize("now", [10.1, 90.0, None])
def test_a_guess_stands_where_the_machine_is_busy_or_nobody_knows(machine, now):
    own = machine(60.0)
    assert own.build(now) == (1.0, 60.0, None)
    assert own.looked == 0  # a race that was just run is not run again
    assert own.build(now) == own.build(now) == (1.0, 60.0, None)
    assert (own.races, own.looked) == (1, 2)


def test_the_first_quiet_build_replaces_the_guess_for_good(machine):
    own = machine(60.0, 4.0)
    own.build()
    assert own.build(10.0) == (2.0, 4.0, 60.0)
    assert own.build(0.0) == own.build(90.0) == (2.0, 4.0, 60.0)
    assert (own.races, own.looked) == (2, 1)


def test_a_second_race_that_was_disturbed_too_changes_nothing(machine):
    own = machine(60.0, 20.0, 5.0)
    own.build()
    assert own.build(0.0) == (1.0, 60.0, None)
    assert own.build(0.0) == (3.0, 5.0, 60.0)


@pytest.mark.parametrize("result", [{}, {"other_load_pct": None}])
def test_an_entry_that_tells_no_load_stays_valid(machine, result):
    own = machine()
    kept = {"rounds": {"a": [7.0]}, **result}
    own.runner.run(STAGE, lambda _folder: kept, key={"float": "digest"})
    assert own.build(0.0) == (7.0, None, None)
    assert own.looked == 0


def test_what_a_report_is_told_of_the_load():
    assert Remembered({}, None).tell() == Remembered({}, 10.0).tell() == ""
    assert "took 60 % of the CPU meanwhile" in Remembered({}, 60.0).tell()
    again = Remembered({}, 3.0, 60.0).tell()
    assert "again on a quiet machine, with other programs at 3 % of the CPU" in again
    assert "they took 60 %" in again

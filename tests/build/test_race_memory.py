"""What a remembered race is worth: a guess of a busy machine stands until the machine is quiet."""

import datetime as dt

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
        self.date = found.date
        return found.rounds["a"][0], found.load_pct, found.before


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
    disturbed = "other programs took 60 % of the CPU (at most 10 % is quiet)"
    assert own.build(10.0) == (2.0, 4.0, disturbed)
    assert own.date is None  # it was raced just now
    assert own.build(0.0) == own.build(90.0) == (2.0, 4.0, disturbed)
    assert own.date is not None
    assert (own.races, own.looked) == (2, 1)


def test_a_second_race_that_was_disturbed_too_changes_nothing(machine):
    own = machine(60.0, 20.0, 5.0)
    own.build()
    assert own.build(0.0) == (1.0, 60.0, None)
    assert own.build(0.0)[:2] == (3.0, 5.0)


@pytest.mark.parametrize("result", [{}, {"other_load_pct": None}])
def test_an_entry_that_tells_no_load_stays_valid(machine, result):
    own = machine()
    kept = {"rounds": {"a": [7.0]}, **result}
    own.runner.run(STAGE, lambda _folder: kept, key={"float": "digest"})
    assert own.build(0.0) == (7.0, None, None)
    assert own.looked == 0


def test_a_race_that_a_quota_stopped_is_a_guess_too(machine, monkeypatch):
    own = machine(0.0, 0.0)
    race, throttled = own.race, iter([7, 0])
    monkeypatch.setattr(own, "race", lambda: {**race(), "throttled_periods": next(throttled)})
    own.build()
    rounds, _, before = own.build(0.0)
    assert rounds == 2.0
    assert "the CPU quota stopped this process in 7 periods" in before


def test_an_earlier_race_has_its_date(machine):
    own = machine(0.0)
    own.build()
    assert own.date is None
    own.build()
    assert own.date == dt.date.today().isoformat()


def test_what_a_report_is_told():
    assert Remembered({}, None).tell() == Remembered({}, 10.0).tell() == ""
    assert (
        Remembered({}, 60.0)
        .tell()
        .startswith("The choice is a guess, for other programs took 60 % of the CPU")
    )
    assert "stopped this process in 3 periods" in Remembered({}, 0.0, 3).tell()
    assert Remembered({}, 0.0, date="2026-11-30").tell() == (
        "An earlier build raced them, on 2026-11-30."
    )
    again = Remembered({}, 3.0, before="other programs took 60 % of the CPU").tell()
    assert (
        again
        == "A race before was disturbed: other programs took 60 % of the CPU. This one was not."
    )

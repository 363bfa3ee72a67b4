"""Waiting for a quiet machine, on a clock that needs no time."""

from types import SimpleNamespace

import pytest

from edge_convnext.core.contention import CpuClock
from edge_convnext.core.progress import untracked
from edge_convnext.measure.quiet import (
    Watch,
    measure_load,
    race_in_quiet,
    tell_load,
    wait_until_quiet,
)


class Machine:
    """Other programs take a stated share of the CPU, second by second; then none."""

    def __init__(self, *loads_pct):
        self.loads_pct, self.time, self.busy, self.races = list(loads_pct), 0, 0.0, []
        self.watch = Watch(lambda: self.time, self.pass_, self.read)

    def pass_(self, seconds):
        for _ in range(int(seconds)):
            load = self.loads_pct[self.time] if self.time < len(self.loads_pct) else 0.0
            self.busy += load / 100
            self.time += 1

    def read(self):
        return CpuClock(float(self.time), 0.0, self.busy, 1)

    def race(self):
        began, busy = self.time, self.busy
        self.pass_(10)
        load = round(100 * (self.busy - busy) / 10, 6)
        self.races.append(SimpleNamespace(began=began, other_load_pct=load))
        return self.races[-1]


def told_load(race):
    return race.other_load_pct


def test_without_being_asked_a_race_starts_at_once():
    machine = Machine(*[90] * 100)
    assert race_in_quiet(machine.race, 0.0, told_load, watch=machine.watch).began == 0


def test_a_race_waits_until_the_others_are_done():
    machine = Machine(*[90] * 33)
    found = race_in_quiet(machine.race, 5.0, told_load, watch=machine.watch)
    assert (found.began, found.other_load_pct) == (40, 0.0)  # five quiet seconds in a row
    assert len(machine.races) == 1


def test_after_the_minutes_it_races_whatever_the_load():
    machine = Machine(*[50] * 1000)
    found = race_in_quiet(machine.race, 1.0, told_load, watch=machine.watch)
    assert (found.began, found.other_load_pct) == (60, 50.0)
    assert len(machine.races) == 1


def test_a_race_that_was_disturbed_is_run_again():
    machine = Machine(*[0] * 5, *[60] * 30)  # quiet while it looked
    found = race_in_quiet(machine.race, 5.0, told_load, watch=machine.watch)
    assert [one.other_load_pct for one in machine.races] == [60.0, 0.0]
    assert found is machine.races[1]


def test_of_disturbed_races_the_quietest_counts():
    machine = Machine(*[0] * 5, *[20] * 10, *[0] * 5, *[80] * 500)
    found = race_in_quiet(machine.race, 1.0, told_load, watch=machine.watch)
    assert [one.other_load_pct for one in machine.races] == [20.0, 80.0]
    assert found is machine.races[0]


@pytest.mark.parametrize(("load_pct", "quiet"), [(10.0, True), (11.0, False)])
def test_the_machine_is_quiet_up_to_the_gates_limit(load_pct, quiet):
    machine = Machine(*[load_pct] * 1000)
    assert wait_until_quiet(60.0, untracked, machine.watch) is quiet


def test_where_the_load_cant_be_read_nothing_is_waited_for():
    machine = Machine(*[90] * 1000)
    blind = Watch(machine.watch.now, machine.watch.sleep, lambda: None)
    unread = SimpleNamespace(other_load_pct=None)
    assert race_in_quiet(lambda: unread, 5.0, told_load, watch=blind) is unread
    assert machine.time == 5


def test_waiting_is_shown_and_says_why():
    told = []

    def track(items, what, total=None):
        told.append((what, total))
        return items

    machine = Machine(*[40] * 22)
    assert wait_until_quiet(60.0, track, machine.watch)
    assert told == [("other programs take 40 % of the CPU: waiting for a quiet machine", 12)]
    assert wait_until_quiet(120.0, track, machine.watch)  # it is quiet: nothing to show
    assert len(told) == 1


@pytest.mark.parametrize(("load_pct", "lines"), [(10.0, 0), (40.0, 1)])
def test_a_busy_machine_is_told_of_before_the_race(load_pct, lines):
    told, clock = [], iter([CpuClock(0.0, 0.0, 0.0, 1), CpuClock(1.0, 0.0, load_pct / 100, 1)])

    def track(items, what, total=None):
        told.append(what)
        return items

    tell_load(track, "wait", Watch(lambda: 0.0, lambda _: None, lambda: next(clock)))
    assert told == ["other programs take 40 % of the CPU: wait"] * lines
    tell_load(track, "wait", Watch(lambda: 0.0, lambda _: None, lambda: None))
    assert len(told) == lines


def test_an_interrupted_wait_races_nothing():
    machine = Machine(*[90] * 100)

    def interrupt(_seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        race_in_quiet(
            machine.race, 5.0, told_load, watch=Watch(machine.watch.now, interrupt, machine.read)
        )
    assert machine.races == []


@pytest.mark.parametrize(
    ("glance", "window", "found", "waited"),
    [(60.0, 0.0, 60.0, 1), (0.0, 30.0, 30.0, 2), (10.0, 4.0, 4.0, 2), (None, None, None, 2)],
)
def test_busy_is_told_at_a_glance_and_quiet_after_some_seconds(glance, window, found, waited):
    sleeps, time, busy = [], [0.0], [0.0]

    def sleep(seconds):
        load = (glance, window)[len(sleeps)]
        sleeps.append(seconds)
        time[0] += seconds
        busy[0] += seconds * (load or 0.0) / 100

    def read():
        return None if glance is None else CpuClock(time[0], 0.0, busy[0], 1)

    load = measure_load(Watch(lambda: time[0], sleep, read))
    assert load == (found if found is None else pytest.approx(found))
    assert len(sleeps) == waited
    assert sleeps[0] < 1.0
    assert sleeps[1:] == [pytest.approx(5.0)] * (waited - 1)

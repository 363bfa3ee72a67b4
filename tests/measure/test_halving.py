import numpy as np
import pytest

from edge_convnext.measure.halving import compare, compare_with, run_race

LATENCY_MS = {"a": 1.0, "b": 1.004, "c": 1.3, "d": 2.0, "e": 2.5, "f": 9.0}


class Machine:
    """Times that a noisy machine could show: every round slows all options alike."""

    def __init__(self, noise=0.02):
        self.random = np.random.default_rng(0)
        self.noise = noise
        self.asked = []

    def measure(self, names, rounds):
        self.asked.append((tuple(names), rounds))
        weather = self.random.uniform(1.0, 2.0, rounds)
        return {
            name: list(
                LATENCY_MS[name] * weather * (1 + self.noise * self.random.standard_normal(rounds))
            )
            for name in names
        }


def test_a_race_ends_when_the_leader_stands_apart():
    machine = Machine(noise=0.001)
    standing = run_race(["c", "d", "a", "e"], machine.measure)
    assert next(iter(standing.laps)) == "a"
    assert "faster than the rest" in standing.stopped
    assert set(standing.laps) == {"a", "c", "d", "e"}
    assert standing.laps["d"].ratio == pytest.approx(2.0, rel=0.05)


def test_options_that_can_not_be_told_apart_both_reach_the_end():
    machine = Machine()
    standing = run_race(list(LATENCY_MS), machine.measure)
    assert set(standing.finalists) == {"a", "b"}
    assert all(standing.laps[name].tied for name in "ab")
    assert "can't be told apart" in standing.stopped
    counts = [len(names) for names, _ in machine.asked]
    assert counts == sorted(counts, reverse=True)
    rounds = [number for _, number in machine.asked]
    assert rounds == sorted(rounds)


def test_the_option_to_beat_stays_to_the_end():
    machine = Machine()
    standing = run_race(list(LATENCY_MS), machine.measure, always=["f"])
    assert "f" in standing.finalists
    assert standing.laps["f"].rounds == standing.laps["a"].rounds
    assert all("f" in names for names, _ in machine.asked)
    assert standing.laps["e"].rounds < standing.laps["f"].rounds


def test_a_time_limit_ends_a_race_after_a_whole_rung():
    machine = Machine()
    clock = iter(range(0, 10_000, 100))
    standing = run_race(list(LATENCY_MS), machine.measure, 50.0, lambda: next(clock))
    assert len(machine.asked) == 1
    assert standing.stopped == "the time limit of 50 s"
    assert set(standing.laps) == set(LATENCY_MS)


def test_laps_are_paired_by_round():
    rounds = {"fast": [1.0, 5.0, 1.0, 1.0, 1.0, 1.0], "slow": [1.2, 6.0, 1.2, 1.2, 1.2, 1.2]}
    laps = compare(rounds)
    assert laps["slow"].ratio_ci95 == pytest.approx((1.2, 1.2))
    assert not laps["slow"].tied
    assert laps["fast"].tied


def test_a_candidate_is_compared_with_any_other_by_the_round():
    lap = compare_with([1.0, 5.0, 1.0, 1.0, 1.0, 1.0], [0.9, 4.5, 0.9, 0.9, 0.9, 0.9])
    assert lap.ratio == pytest.approx(0.9)
    assert lap.ratio_ci95 == pytest.approx((0.9, 0.9))
    assert (lap.latency_ms_p50, lap.rounds) == (0.9, 6)

"""Throughput: which settings take turns, what a turn counts, and which setting is chosen."""

import gc
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.sections import BenchmarkConfig
from edge_convnext.measure import throughput
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.throughput import (
    ThroughputResult,
    ThroughputRow,
    Wanted,
    measure_throughput,
    usual_streams,
)
from edge_convnext.runtimes import Streams

IMAGES = np.zeros((1, 3, 4, 4), np.float32)
CONFIG = BenchmarkConfig(batches=(1, 2), threads=4, rounds=6, min_round_ms=1, warmup=1)


def candidate(name):
    return Candidate(OnnxModel(Path(name), "int8", "conv"), name, "openvino", "f32", title=name)


class Served:
    """Runtimes of one loaded setting, which count their calls and how many run at once."""

    def __init__(self, requests):
        self.requests, self.calls, self.inside, self.most = requests, 0, 0, 0
        self.lock = threading.Lock()
        self.all_here = threading.Barrier(requests)

    def infer(self, images):
        with self.lock:
            self.inside += 1
            self.calls += 1
            self.most = max(self.most, self.inside)
            meet = self.calls <= self.requests  # only the first ones wait for each other
        if meet:
            self.all_here.wait(10)
        with self.lock:
            self.inside -= 1
        return images


@pytest.fixture
def loaded(monkeypatch):
    """What was loaded, by name, batch, streams and requests."""
    found = {}

    def load(name, path, options, streams):
        served = Served(streams.requests)
        found[path.name, options.batch, streams.streams, streams.requests] = served
        assert (name, options.threads) == ("openvino", 4)
        return [served] * streams.requests

    monkeypatch.setattr(throughput, "load_streams", load)
    return found


@pytest.mark.parametrize(
    ("threads", "tried"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (4, (1, 2, 4)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8))],
)
def test_streams_are_doubled_up_to_the_threads(threads, tried):
    assert usual_streams(threads) == tried


def test_each_stream_has_a_request_unless_more_are_asked_for():
    assert Wanted(streams=(2, 2, 8), requests=4).settings(1) == [Streams(2, 4), Streams(8, 8)]
    assert Wanted().settings(2) == [Streams(1, 1), Streams(2, 2)]


def test_every_setting_is_served_by_all_its_requests_at_once(loaded):
    result = measure_throughput(
        [candidate("a"), candidate("b")], IMAGES, CONFIG, Wanted(streams=(1, 2), requests=2)
    )
    settings = [
        (name, batch, streams, 2) for batch in (1, 2) for name in "ab" for streams in (1, 2)
    ]
    assert list(loaded) == settings
    assert {served.most for served in loaded.values()} == {2}
    shown = [(row.candidate.name, row.batch, row.streams, row.requests) for row in result.rows]
    assert shown == settings
    assert {row.threads for row in result.rows} == {4}
    assert [row.candidate.name for row in result.rows if row.chosen] in (["a", "b"], ["b", "a"])
    assert all(len(row.round_images_per_s) == CONFIG.rounds for row in result.rows)
    assert gc.isenabled()


def test_the_chosen_ones_have_rounds_of_their_own(loaded, monkeypatch):
    turns = []
    real = throughput._take_turns

    def take(loaded, config, seed, track, what):
        turns.append((len(loaded), seed))
        return real(loaded, config, seed, track, what)

    monkeypatch.setattr(throughput, "_take_turns", take)
    measure_throughput([candidate("a"), candidate("b")], IMAGES, CONFIG, Wanted(), seed=7)
    assert turns == [(2 * 2 * 3, 7), (2, 8)]


def test_a_turn_counts_each_inference_once(loaded, monkeypatch):
    monkeypatch.setattr(throughput, "_choose_count", lambda one, config: 5)
    result = measure_throughput([candidate("a")], IMAGES, CONFIG, Wanted(streams=(2,)))
    assert [row.samples for row in result.rows] == [5 * CONFIG.rounds] * 2


def row(name, images_per_s, latency_ms, **more):
    return ThroughputRow(
        candidate(name), 2, 1, 1, 1, 90.0, images_per_s, 1.0, latency_ms, 100,
        more.pop("rounds", (images_per_s,) * 6), **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "chosen"), [(None, [1, 3]), (5.0, [0, 3]), (2.0, [3]), (0.5, [])]
)
def test_the_most_images_within_the_limit_are_chosen(limit, chosen):
    rows = [row("a", 10, 4.0), row("a", 20, 8.0), row("b", 9, None), row("b", 30, 1.0)]
    assert sorted(throughput._choose(rows, Wanted(limit_ms=limit))) == chosen


def test_a_latency_of_too_few_samples_keeps_no_limit():
    turn = throughput._Turn(100.0, tuple(float(one) for one in range(99)))
    one = throughput._Loaded(candidate("a"), Streams(1, 1), [None], IMAGES)
    assert throughput._row(one, [turn], 2, Wanted(90.0)).latency_ms is None
    more = replace(turn, latencies_ms=(*turn.latencies_ms, 99.0))
    found = throughput._row(one, [more], 2, Wanted(90.0))
    assert found.latency_ms == pytest.approx(89.1)
    assert found.within(90.0)
    assert not found.within(89.0)


def test_ratios_are_of_the_chosen_settings_round_by_round():
    slow = row("a", 10, 1.0, chosen=True, rounds=(10.0, 20.0, 10.0, 20.0, 10.0, 20.0))
    fast = row("b", 20, 1.0, chosen=True, rounds=(20.0, 40.0, 20.0, 40.0, 20.0, 40.0))
    result = ThroughputResult((slow, row("a", 99, 1.0), fast), Wanted(), None)
    ratio = result.ratio("b", "a")
    assert (ratio.median, ratio.ci95_lo, ratio.ci95_hi, ratio.rounds) == (2.0, 2.0, 2.0, 6)
    assert result.ratio("b", "c") is None
    assert result.best("a") is slow


def test_a_runtime_that_fails_is_told(loaded, monkeypatch):
    def fail(self, images):
        raise RuntimeError("broken")

    monkeypatch.setattr(Served, "infer", fail)
    with pytest.raises(RuntimeError, match="broken"):
        measure_throughput([candidate("a")], IMAGES, CONFIG, Wanted(streams=(2,)))

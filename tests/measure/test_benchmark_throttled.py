"""A CPU quota that stops a race is counted, and the verdict knows of it."""

from itertools import count

import pytest
from support.races import QUICK, candidates_of
from support.tiny_graph import make_images, write_graph

from edge_convnext.core import quotas
from edge_convnext.core.quotas import sum_periods, throttled_since
from edge_convnext.measure import benchmark as module
from edge_convnext.measure.benchmark import benchmark, judge


@pytest.fixture
def stopped(monkeypatch):
    """Each look at the counter finds so many more periods than the last."""
    periods = iter(count(100, 7))

    def read(*_root):
        return next(periods)

    for place in (module, quotas):
        monkeypatch.setattr(place, "read_throttling", read)


def test_periods_add_up_over_batches_and_both_parts_of_a_race(tmp_path, stopped):
    pair = candidates_of(write_graph(tmp_path / "g.onnx"), "a", "b")
    config = QUICK.model_copy(update={"batches": (1, 2)})
    chosen = benchmark(pair, make_images(2), config, measure_memory=False)
    assert chosen.throttled_periods == 14
    assert judge(chosen, pair, make_images(2), config).throttled_periods == 21


def test_without_a_quota_nothing_is_counted(tmp_path, monkeypatch):
    for place in (module, quotas):
        monkeypatch.setattr(place, "read_throttling", lambda *_root: None)
    one = candidates_of(write_graph(tmp_path / "g.onnx"), "a")
    assert benchmark(one, make_images(1), QUICK, measure_memory=False).throttled_periods is None


def test_a_quota_that_came_or_went_meanwhile_tells_nothing(monkeypatch):
    for before, after, periods in ((None, 5, None), (5, None, None), (5, 9, 4), (5, 2, 0)):
        monkeypatch.setattr(quotas, "read_throttling", lambda *_root, after=after: after)
        assert throttled_since(before) == periods
    assert sum_periods([None, 3, 4]) == 7
    assert sum_periods([None]) is None

import gc

import numpy as np
import pytest

from edge_convnext.core.sections import BenchmarkConfig
from edge_convnext.measure import turns
from edge_convnext.measure.turns import quick_collections, take_turns

IMAGES = np.zeros((2, 3, 4, 4), np.float32)


class Model:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def infer(self, images):
        assert images is IMAGES
        self.log.append(self.name)
        assert not gc.isenabled()
        return images


def raced(monkeypatch, seed=0, rounds=4):
    log = []
    monkeypatch.setattr(turns, "_choose_count", lambda *_: 3)
    config = BenchmarkConfig(rounds=rounds, warmup=2)
    shown = []

    def track(items, what, total):
        shown.append((what, total))
        return items

    times = take_turns([Model("a", log), Model("b", log)], IMAGES, config, seed, track)
    assert shown == [("timing batch 2", rounds)]
    return times, log


def test_every_model_has_its_turn_in_every_round(monkeypatch):
    times, log = raced(monkeypatch)
    assert [[len(turn) for turn in model] for model in times] == [[3] * 4] * 2
    assert log.count("a") == log.count("b") == 4 * (2 + 3)
    order = [log[at] for at in range(0, len(log), 5)]
    assert [sorted(order[at : at + 2]) for at in range(0, 8, 2)] == [["a", "b"]] * 4
    assert gc.isenabled()


def test_the_order_is_drawn_by_the_seed(monkeypatch):
    orders = {seed: tuple(raced(monkeypatch, seed, 8)[1]) for seed in range(4)}
    assert len(set(orders.values())) > 1
    assert tuple(raced(monkeypatch, 1, 8)[1]) == orders[1]


@pytest.mark.parametrize(("typical_ms", "count"), [(10.0, 5), (1000.0, 3), (0.1, 500)])
def test_a_turn_has_enough_inferences_to_fill_its_time(monkeypatch, typical_ms, count):
    monkeypatch.setattr(turns, "infer_ms", lambda model, inputs, count: [typical_ms] * count)
    config = BenchmarkConfig(min_round_ms=50)
    assert turns._choose_count(None, IMAGES, config) == count


def test_collections_look_at_nothing_older_in_the_block():
    before = gc.get_freeze_count()
    with quick_collections():
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == 0

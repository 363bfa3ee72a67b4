import math

import pytest

from edge_convnext.networks.training.schedule import derive_seed, ema_decay, learning_rate


def test_the_learning_rate_warms_up_linearly_and_falls_as_a_cosine():
    rates = [learning_rate(step, 110, 10, 1.0) for step in range(110)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.5)
    assert rates[109] == pytest.approx(0.5 * (1 + math.cos(0.99 * math.pi)))
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_the_learning_rate_needs_no_warm_up():
    assert learning_rate(0, 10, 0, 0.1) == pytest.approx(0.1)
    assert learning_rate(0, 1, 1, 0.1) == pytest.approx(0.1)


def test_the_average_follows_closely_at_first_and_slowly_later():
    assert ema_decay(0, 0.99) == pytest.approx(0.1)
    assert ema_decay(90, 0.99) == pytest.approx(0.91)
    assert ema_decay(10_000, 0.99) == 0.99
    assert ema_decay(10_000, 0.0) == 0.0


def test_a_seed_serves_one_purpose_and_stays_the_same():
    seeds = {derive_seed(seed, what, epoch) for seed in (0, 1) for what in "ab" for epoch in (1, 2)}
    assert len(seeds) == 8
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1)

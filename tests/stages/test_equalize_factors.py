import numpy as np
import pytest

from edge_convnext.graph.activations import Activations
from edge_convnext.graph.affine import make_grid, round_weight
from edge_convnext.stages.equalize_factors import choose_factors

RANDOM = np.random.default_rng(0)
CHANNELS, ROWS = 24, 512
WEIGHT = RANDOM.standard_normal((CHANNELS, 16)).astype(np.float32)
TURNED = np.arange(CHANNELS) % 3 == 0  # channels whose values are below zero


def activations(rows):
    half = len(rows) // 2
    return Activations(rows[:half].min(axis=0), rows[:half].max(axis=0), rows[half:])


def one_sided():
    """Rows of channels like GELU's behind GRN: large on one side, which differs by channel."""
    values = RANDOM.exponential(size=(2 * ROWS, CHANNELS)) - 0.1
    return (np.where(TURNED, -1, 1) * values).astype(np.float32)


def layer_error(rows, factors, kind):
    scaled = rows / factors
    grid = make_grid(float(scaled.min()), float(scaled.max()), kind)
    found = grid.round(scaled) @ round_weight(WEIGHT * factors[:, None])
    return np.square(found - rows @ WEIGHT).mean()


@pytest.mark.parametrize("alpha", ["auto", 0.5])
def test_channels_below_zero_are_turned_over_for_an_unsigned_grid_alone(alpha):
    seen = activations(one_sided())
    unsigned = choose_factors(WEIGHT, 1, seen, alpha, "uint8", turn=True)
    upright = choose_factors(WEIGHT, 1, seen, alpha, "uint8", turn=False)
    assert upright is None or (upright > 0).all()
    np.testing.assert_array_equal(unsigned < 0, TURNED)
    signed = choose_factors(WEIGHT, 1, seen, alpha, "int8", turn=True)
    assert signed is None or (signed > 0).all()


def test_turning_channels_over_makes_better_use_of_an_unsigned_grid():
    rows = one_sided()
    factors = choose_factors(WEIGHT, 1, activations(rows), "auto", "uint8", turn=True)
    turned = layer_error(rows, factors, "uint8")
    assert turned < 0.6 * layer_error(rows, np.abs(factors), "uint8")
    assert turned < 0.6 * layer_error(rows, np.abs(factors), "int8")


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_an_outlier_channel_shrinks_and_the_layer_comes_nearer(kind):
    rows = RANDOM.standard_normal((2 * ROWS, CHANNELS)).astype(np.float32)
    rows[:, 5] *= 50.0
    factors = choose_factors(WEIGHT, 1, activations(rows), "auto", kind, turn=True)
    assert np.argmax(np.abs(factors)) == 5
    plain = layer_error(rows, np.ones(CHANNELS, np.float32), kind)
    assert layer_error(rows, factors, kind) < 0.1 * plain


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_silent_channels_and_silent_tensors_are_left_alone(kind):
    rows = RANDOM.standard_normal((2 * ROWS, CHANNELS)).astype(np.float32)
    rows[:, 2] = 0.0
    assert choose_factors(WEIGHT, 1, activations(rows), 0.5, kind, turn=True)[2] == 1.0
    assert choose_factors(WEIGHT, 1, activations(np.zeros_like(rows)), 0.5, kind, turn=True) is None

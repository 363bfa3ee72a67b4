"""Factors of equalization, number by number."""

import numpy as np
import pytest

from edge_convnext.graph.activations import Activations
from edge_convnext.graph.affine import make_grid, round_weight
from edge_convnext.stages import equalize_factors as module
from edge_convnext.stages.equalize_factors import choose_factors

F32 = np.float32
RANDOM = np.random.default_rng(0)


def seen_of(rows, low=None, high=None):
    rows = np.asarray(rows, F32)
    ends = (rows.min(axis=0), rows.max(axis=0))
    low, high = (
        end if one is None else np.asarray(one, F32)
        for one, end in ((low, ends[0]), (high, ends[1]))
    )
    return Activations(low, high, rows)


def shares(reach, weight_reach, strength):
    """SmoothQuant's, of geometric mean 1."""
    raw = np.asarray(reach) ** strength / np.asarray(weight_reach) ** (1 - strength)
    return raw / np.exp(np.log(raw).mean())


WEIGHT = np.array([[1.0, -2.0], [0.5, 0.25], [-8.0, 1.0]], F32)
REACH_OF_WEIGHT = [2.0, 0.5, 8.0]


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.5, 1.0])
def test_a_stated_strength_gives_smoothquants_factors(strength):
    seen = seen_of(RANDOM.uniform(-1, 1, (9, 3)), [-1.0, -4.0, -2.0], [3.0, 2.0, 0.5])
    found = choose_factors(WEIGHT, 1, seen, strength, "int8", turn=True)
    assert found.dtype == F32
    np.testing.assert_allclose(found, shares([3.0, 4.0, 2.0], REACH_OF_WEIGHT, strength), rtol=1e-5)


def test_of_an_unsigned_grid_the_lower_end_counts_once_or_four_times():
    """Both balances are tried, and the nearer layer wins."""
    low, high = np.array([-0.5, -0.1, -0.5], F32), np.array([3.0, 2.0, 1.0], F32)
    rows = RANDOM.uniform(low, high, (500, 3)).astype(F32)
    seen = seen_of(rows, low, high)
    found = choose_factors(WEIGHT, 1, seen, 0.5, "uint8", turn=False)
    even = shares([3.0, 2.0, 1.0], REACH_OF_WEIGHT, 0.5)
    fourfold = shares([3.0, 2.0, 2.0], REACH_OF_WEIGHT, 0.5)
    errors = [layer_error(rows, low, high, one, "uint8") for one in (even, fourfold)]
    np.testing.assert_allclose(found, (even, fourfold)[int(np.argmin(errors))], rtol=1e-5)
    other = module._share_out(WEIGHT, low, high, 0.5, 0.25)
    np.testing.assert_allclose(other, fourfold, rtol=1e-5)
    np.testing.assert_allclose(module._share_out(WEIGHT, low, high, 0.5, 1.0), even, rtol=1e-5)


def layer_error(
    rows, low, high, factors, kind, rooms=(1.0, 1.25, 1.5, 2.0), weight=WEIGHT, repeats=1
):
    """Of the layer, quantized with the best of several rooms around the range seen."""
    factors = factors.astype(F32)
    ends = np.stack([low / factors, high / factors])
    flat = (weight * factors[:, None]).reshape(len(factors) * repeats, -1)
    rounded = round_weight(flat).reshape(weight.shape)
    scaled = rows / factors
    return min(
        np.mean(
            (
                make_grid(room * float(ends.min()), room * float(ends.max()), kind).round(scaled)
                @ rounded
                - rows @ weight
            ).astype(np.float64)
            ** 2
        )
        for room in rooms
    )


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("reach", [0.4, 0.55, 0.7, 1.0])
def test_the_error_is_that_of_the_best_room_around_the_range_seen(kind, reach):
    """Rows go beyond the range by as much as the room allows, or less."""
    low, high = (
        np.array([-1.0, -2.0, -0.5], F32) * F32(reach),
        np.array([1, 0.5, 2], F32) * F32(reach),
    )
    rows = RANDOM.uniform(-1, 1, (200, 3)).astype(F32) * F32(2)
    seen, factors = seen_of(rows, low, high), np.array([0.5, 2.0, 1.25], F32)
    expected = layer_error(rows, low, high, factors, kind)
    found = module._error(WEIGHT, 1, seen, rows @ WEIGHT, factors, kind)
    assert found == pytest.approx(expected, rel=1e-6)
    # Other images go beyond the range that was seen: without room, their error would decide.
    assert found < layer_error(rows, low, high, factors, kind, rooms=(1.0,))
    assert module._ROOM == (1.0, 1.25, 1.5, 2.0)


def test_patches_share_the_scale_of_their_output():
    """Two rows of the reader's weight for each channel: columns are patch and output."""
    weight = RANDOM.standard_normal((3, 2 * 4)).astype(F32) * np.geomspace(1, 30, 8, dtype=F32)
    rows = RANDOM.standard_normal((60, 3)).astype(F32)
    seen, factors = seen_of(rows), np.array([0.5, 2.0, 1.0], F32)
    found = module._error(weight, 2, seen, rows @ weight, factors, "int8")
    own = layer_error(rows, seen.low, seen.high, factors, "int8", weight=weight, repeats=2)
    assert found == pytest.approx(own, rel=1e-6)
    apart = layer_error(rows, seen.low, seen.high, factors, "int8", weight=weight)
    assert found != pytest.approx(apart, rel=1e-2)


def test_the_best_strength_wins_and_no_equalization_is_one_of_them():
    rows = RANDOM.standard_normal((300, 3)).astype(F32) * np.array([1.0, 40.0, 0.2], F32)
    seen = seen_of(rows[:100]), rows[100:]
    seen = Activations(seen[0].low, seen[0].high, seen[1])
    reach = np.maximum(seen.high, -seen.low)
    candidates = [np.ones(3, F32)] + [
        shares(reach, REACH_OF_WEIGHT, step / 10).astype(F32) for step in range(1, 10)
    ]
    errors = [layer_error(seen.rows, seen.low, seen.high, one, "int8") for one in candidates]
    best = candidates[int(np.argmin(errors))]
    found = choose_factors(WEIGHT, 1, seen, "auto", "int8", turn=True)
    np.testing.assert_allclose(found, best, rtol=1e-5)
    assert np.argmin(errors) > 0
    assert pytest.approx((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)) == module._ALPHAS


def test_where_dividing_changes_nothing_there_are_no_factors():
    even = np.eye(3, dtype=F32)
    rows = np.repeat(np.array([[-1.0], [1.0]], F32), 3, axis=1)
    assert choose_factors(even, 1, seen_of(rows), "auto", "int8", turn=True) is None
    assert choose_factors(even, 1, seen_of(rows), 0.5, "int8", turn=True) is None


@pytest.mark.parametrize(
    ("low", "high", "signs"),
    [
        ([-2.0, -1.0, -1.0], [1.0, 1.0, 2.0], [-1, 1, 1]),  # only where more lies below zero
        ([-2.0, -3.0, 0.0], [0.0, 1.0, 5.0], [-1, -1, 1]),
    ],
)
def test_a_channel_is_turned_over_where_more_of_it_lies_below_zero(low, high, signs):
    rows = RANDOM.uniform(low, high, (100, 3)).astype(F32)
    seen = seen_of(rows, low, high)
    found = choose_factors(WEIGHT, 1, seen, 0.5, "uint8", turn=True)
    assert np.sign(found).tolist() == signs
    assert (choose_factors(WEIGHT, 1, seen, 0.5, "uint8", turn=False) > 0).all()
    assert (choose_factors(WEIGHT, 1, seen, 0.5, "int8", turn=True) > 0).all()


def test_a_turned_channel_swaps_its_ends():
    seen = seen_of(np.zeros((1, 2)), [-3.0, -1.0], [2.0, 5.0])
    low, high = module._turn_over(seen, np.array([-1, 1], F32))
    assert (low.tolist(), high.tolist()) == ([-2.0, -1.0], [3.0, 5.0])


@pytest.mark.parametrize("silent", [0.0, 9e-6])
@pytest.mark.parametrize("where", ["values", "weights"])
def test_a_channel_with_hardly_any_values_or_weights_keeps_its_scale(silent, where):
    low, high = np.array([-1.0, -1.0, -1.0], F32), np.array([1.0, 1.0, 1.0], F32)
    weight = np.array([[4.0], [1.0], [1.0]], F32)
    if where == "values":
        low[2], high[2] = -silent, silent
    else:
        weight[2] = 4 * silent
    found = module._share_out(weight, low, high, 0.5, 1.0)
    expected = [*shares([1.0, 1.0], [4.0, 1.0], 0.5), 1.0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("size", [0.01, 100.0])
def test_how_small_is_silent_goes_by_the_largest_channel(size):
    high = np.array([1.0, 1e-5], F32) * F32(size)  # exactly at the limit: silent
    weight = np.array([[1.0], [1e-5]], F32) * F32(size)
    ones = np.ones((2, 1), F32)
    for low, top, weights in (
        (-high, high, ones),
        (-high[:1] * ones[:, 0], high[:1] * ones[:, 0], weight),
    ):
        found = module._share_out(weights, low, top, 0.5, 1.0)
        np.testing.assert_allclose(found, [1.0, 1.0], rtol=1e-5)
    louder = high * np.array([1, 1.01], F32)
    assert module._share_out(ones, -louder, louder, 0.5, 1.0)[0] > 10.0
    assert module._share_out(weight * [[1], [1.01]], -ones[:, 0], ones[:, 0], 0.5, 1.0)[0] < 0.1


def test_of_equally_good_factors_none_are_the_first():
    seen = seen_of(np.zeros((4, 3)), [-1, -3, -2], [1, 3, 2])
    assert choose_factors(WEIGHT, 1, seen, "auto", "int8", turn=False) is None


def test_a_channel_just_above_that_is_scaled():
    low, high = np.array([-1.0, -2e-5], F32), np.array([1.0, 2e-5], F32)
    found = module._share_out(np.ones((2, 1), F32), low, high, 0.5, 1.0)
    np.testing.assert_allclose(found, shares([1.0, 2e-5], [1.0, 1.0], 0.5), rtol=1e-4)


@pytest.mark.parametrize(("low", "high"), [([-1, -3, -2], [0, 0, 0]), ([0, 0, 0], [1, 3, 2])])
def test_values_on_one_side_of_zero_are_divided_all_the_same(low, high):
    found = choose_factors(WEIGHT, 1, seen_of(np.zeros((4, 3)), low, high), 0.5, "int8", turn=False)
    np.testing.assert_allclose(found, shares([1.0, 3.0, 2.0], REACH_OF_WEIGHT, 0.5), rtol=1e-5)


def test_a_tensor_without_any_values_has_nothing_to_divide():
    seen = seen_of(np.zeros((4, 3)))
    assert choose_factors(WEIGHT, 1, seen, 0.5, "int8", turn=False) is None

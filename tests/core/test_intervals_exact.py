"""Published limits, and what happens at the ends."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_convnext.core import intervals
from edge_convnext.core.intervals import (
    median_interval,
    paired_difference_interval,
    proportion_interval,
)

Z50 = 0.6744897501960817  # of 50 %
Z95 = 1.959963984540054


@pytest.mark.parametrize(
    ("hits", "n", "published"),
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (1, 29, (0.0061, 0.1718))],
)
def test_wilsons_interval_equals_newcombes_examples(hits, n, published):
    assert proportion_interval(hits, n) == pytest.approx(published, abs=5e-5)


@pytest.mark.parametrize("n", [1, 20, 476, 13])  # of 13 rounding would leave it inside
def test_wilsons_interval_ends_exactly_where_everything_or_nothing_is_hit(n):
    reach = Z95**2 / (n + Z95**2)
    assert proportion_interval(0, n)[0] == 0.0
    assert proportion_interval(0, n)[1] == pytest.approx(reach, rel=1e-12)
    assert proportion_interval(n, n)[0] == pytest.approx(1 - reach, rel=1e-12)
    assert proportion_interval(n, n)[1] == 1.0


@given(st.integers(2, 5000), st.data())
def test_wilsons_limits_are_where_the_score_test_begins_to_reject(n, data):
    hits = data.draw(st.integers(1, n - 1))
    low, high = proportion_interval(hits, n, 0.5)
    assert 0.0 < low < hits / n < high < 1.0
    for limit in (low, high):
        score = (hits / n - limit) / math.sqrt(limit * (1 - limit) / n)
        assert abs(score) == pytest.approx(Z50, rel=1e-6)


@pytest.mark.parametrize(("hits", "n"), [(-1, 5), (6, 5), (0, 0), (1, 0)])
def test_hits_that_are_not_among_the_items_are_refused(hits, n):
    with pytest.raises(ValueError, match=f"^{hits} items can't be among {n}$"):
        proportion_interval(hits, n)


@pytest.mark.parametrize(("lost", "won", "n"), [(-1, 0, 5), (0, -1, 5), (3, 3, 5), (0, 0, 0)])
def test_refused_counts_are_told(lost, won, n):
    with pytest.raises(ValueError, match=f"^{lost} lost and {won} won items can't be among {n}$"):
        paired_difference_interval(lost, won, n)


def test_the_least_confident_interval_of_one_item_is_as_wide_as_that_says():
    limit = Z50**2 / (1 + Z50**2)
    found = paired_difference_interval(0, 0, 1, 0.5)
    assert found == pytest.approx((-limit, limit), rel=1e-9)


@pytest.mark.parametrize(("lost", "won"), [(7, 0), (0, 7)])
def test_where_every_item_differs_one_limit_is_the_estimate(lost, won):
    low, high = paired_difference_interval(lost, won, 7)
    reach = 1 - 2 * Z95**2 / (7 + Z95**2)  # (1 - d) / (1 + d) = z^2 / n
    expected = (reach, 1.0) if lost else (-1.0, -reach)
    assert (low, high) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("lost", "won", "difference", "score"),
    [
        (0, 0, 0.0, 0.0),
        (0, 0, -1.0, math.inf),  # no item differs, and all of them should
        (0, 0, 1.0, -math.inf),
        (5, 0, 1.0, 0.0),
        (0, 5, -1.0, 0.0),
        (3, 1, 0.0, 1.0),  # McNemar's (3 - 1) / sqrt(3 + 1)
        (1, 3, 0.0, -1.0),
    ],
)
def test_the_score_at_its_ends_and_at_no_difference(lost, won, difference, score):
    assert intervals._paired_score(lost, won, 5, difference) == pytest.approx(score)


@pytest.mark.parametrize(
    ("n", "confidence", "depth"), [(1, 0.1, None), (2, 0.5, 1), (3, 0.75, 1), (3, 0.76, None)]
)
def test_the_median_of_few_values_at_other_confidences(n, confidence, depth):
    values = list(range(n, 0, -1))
    expected = None if depth is None else (depth, n + 1 - depth)
    assert median_interval(values, confidence) == expected


def test_a_p_value_is_mcnemars_at_no_difference_and_fits_the_interval():
    def tail(z):
        return math.erfc(z / math.sqrt(2)) / 2

    assert intervals.paired_p_value(3, 1, 5, 0.0) == pytest.approx(tail(1.0))
    assert intervals.paired_p_value(3, 2, 5, 0.0) == pytest.approx(tail(5**-0.5))
    assert intervals.paired_p_value(0, 0, 1, 0.0) == 0.5
    assert intervals.paired_p_value(1, 3, 5, 0.0) == pytest.approx(1 - tail(1.0))
    for lost, won, n in ((9, 3, 32), (25, 2, 102), (16, 8, 86)):
        low, _ = paired_difference_interval(lost, won, n)
        assert intervals.paired_p_value(lost, won, n, low) == pytest.approx(0.025, rel=1e-6)
        with pytest.raises(ValueError, match=f"^{n} lost and {won} won items can't be among {n}$"):
            intervals.paired_p_value(n, won, n, 0.0)
    for lost, won, n in ((-1, 0, 5), (0, -1, 5), (0, 0, 0)):
        with pytest.raises(ValueError, match="can't be among"):
            intervals.paired_p_value(lost, won, n, 0.0)


@pytest.mark.parametrize(
    ("enough", "n", "told"),
    [
        (1000, 10, 1000), (1001, 10, 1100), (990, 10, 990), (991, 10, 1000), (37, 10, 37),
        (101, 100, 110), (100, 100, 100), (9_000_000, 9, 9_000_000), (25_000_000, 9, None),
    ],
)  # fmt: skip
def test_images_that_would_settle_it_are_rounded_up_to_two_digits(enough, n, told):
    found = intervals.images_to_settle(lambda m: m >= enough, n)
    if told is None:
        assert found is None
    else:
        assert told <= found <= told * 1.02 + 1
        digits = 10 ** max(0, len(str(found)) - 2)
        assert found % digits == 0


def test_what_ten_million_images_do_not_settle_is_not_told():
    asked = []
    assert intervals.images_to_settle(lambda m: bool(asked.append(m)), 3) is None
    assert max(asked) <= 10_000_000 < 2 * max(asked)

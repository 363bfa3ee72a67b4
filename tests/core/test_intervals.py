from __future__ import annotations

import functools
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edge_convnext.core.intervals import (
    FEWEST_FOR_MEDIAN,
    median_interval,
    paired_difference_interval,
    proportion_interval,
)

Z95 = 1.959963984540054


@pytest.mark.parametrize(
    ("lost", "won", "n", "confidence", "published"),
    [
        pytest.param(9, 3, 32, 0.95, (-0.027, 0.390), id="Tango 1998, cross-over trial"),
        pytest.param(0, 1, 44, 0.90, (-0.096, 0.037), id="Tango 1998, contact lenses"),
        pytest.param(16, 8, 86, 0.95, (-0.020, 0.207), id="Agresti and Min 2005"),
        pytest.param(1, 7, 21, 0.95, (-0.517, -0.026), id="Fagerland et al. 2014"),
        pytest.param(6, 16, 161, 0.95, (-0.1240, -0.0054), id="Fagerland et al. 2017, Cavo"),
        pytest.param(3, 1, 14, 0.95, (-0.1670, 0.4327), id="Tang et al. 2010"),
        pytest.param(25, 2, 102, 0.95, (0.139, 0.321), id="Chang 2024"),
        pytest.param(28, 25, 618, 0.90, (-0.0148, 0.0247), id="R PropCIs scoreci.mp(25, 28, 618)"),
    ],
)
def test_the_paired_interval_equals_published_ones(lost, won, n, confidence, published):
    digits = 5e-5 if any(round(limit, 3) != limit for limit in published) else 6e-4
    interval = paired_difference_interval(lost, won, n, confidence)
    assert interval == pytest.approx(published, abs=digits)


@pytest.mark.parametrize("n", [1, 10, 476, 10_000, 1_000_000])
def test_without_discordant_images_the_interval_has_the_width_that_n_justifies(n):
    limit = Z95**2 / (n + Z95**2)  # Tango 1998, equation 29
    assert paired_difference_interval(0, 0, n) == pytest.approx((-limit, limit), rel=1e-9)


@st.composite
def counts(draw):
    n = draw(st.integers(1, 20_000))
    lost = draw(st.integers(0, n))
    return lost, draw(st.integers(0, n - lost)), n


@given(counts())
def test_the_paired_interval_holds_the_estimate_and_mirrors(case):
    lost, won, n = case
    low, high = paired_difference_interval(lost, won, n)
    assert -1 <= low <= (lost - won) / n <= high <= 1
    assert low < high
    assert paired_difference_interval(won, lost, n) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize("n", [50, 200, 476])
def test_the_paired_interval_covers_the_truth_about_as_often_as_it_says(n):
    interval = functools.cache(paired_difference_interval)
    coverage = {}
    for lost_rate in (0.0005, 0.005, 0.02, 0.05):
        for won_rate in (0.0, 0.002, 0.01, 0.03):
            truth = lost_rate - won_rate
            total = 0.0
            for lost in range(n + 1):
                chance = stats.binom.pmf(lost, n, lost_rate)
                if chance < 1e-6:
                    continue
                remaining = stats.binom.pmf(
                    np.arange(n - lost + 1), n - lost, won_rate / (1 - lost_rate)
                )
                for won in np.flatnonzero(remaining > 1e-6):
                    low, high = interval(lost, int(won), n)
                    total += chance * remaining[won] * (low <= truth <= high)
            coverage[lost_rate, won_rate] = total
    assert min(coverage.values()) > 0.93
    # With hardly any discordant image to expect, every interval is on the safe side.
    frequent = [value for rates, value in coverage.items() if n * sum(rates) > 5]
    if frequent:
        assert 0.94 < np.mean(frequent) < 0.97


@pytest.mark.parametrize(("lost", "won", "n"), [(-1, 0, 5), (0, -1, 5), (3, 3, 5), (0, 0, 0)])
def test_impossible_counts_are_refused(lost, won, n):
    with pytest.raises(ValueError, match="can't be among"):
        paired_difference_interval(lost, won, n)


def test_five_rounds_say_nothing_about_a_median_and_six_do():
    assert FEWEST_FOR_MEDIAN == 6
    assert median_interval([3, 1, 2, 5, 4]) is None
    assert median_interval([3, 1, 2, 6, 5, 4]) == (1, 6)


@pytest.mark.parametrize("n", range(6, 60))
def test_the_median_interval_is_the_narrowest_that_holds_the_median_surely(n):
    low, high = median_interval(list(range(1, n + 1)))
    assert (low - 1) == (n - high)  # as many values left out on either side

    def surety(left_out: int) -> float:
        return 1 - 2 * stats.binom.cdf(left_out, n, 0.5)

    assert surety(low - 1) >= 0.95
    assert low >= n // 2 or surety(low) < 0.95


def test_proportion_interval_is_wilsons():
    # 95 % of 81 of 263, from Newcombe, Statistics in Medicine 17 (1998), 857-872, table I.
    low, high = proportion_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert proportion_interval(0, 20)[0] == pytest.approx(0.0, abs=1e-12)
    assert proportion_interval(20, 20)[1] == pytest.approx(1.0)
    z = statistics.NormalDist().inv_cdf(0.975)
    assert proportion_interval(20, 20)[0] == pytest.approx(20 / (20 + z * z))
    with pytest.raises(ValueError, match="can't be among"):
        proportion_interval(3, 2)

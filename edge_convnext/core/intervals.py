"""Confidence intervals that stay honest with few observations."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "FEWEST_FOR_MEDIAN",
    "images_to_settle",
    "median_interval",
    "paired_difference_interval",
    "paired_p_value",
    "proportion_interval",
]

FEWEST_FOR_MEDIAN = 6  # values; with fewer `median_interval` has none at 95 %

_MOST_IMAGES = 10_000_000  # beyond, "more images" is no advice
_BISECTIONS = 60  # of an interval of width 2 at most: finer than float64's own steps near 1


def paired_difference_interval(
    lost: int, won: int, n: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval for the difference of two proportions measured on the same items.

    The estimate is (lost - won) / n. The interval holds every difference that the score test
    does not reject. Unlike the Wald interval it stays inside -1..1, and with no discordant
    item at all it still has the width that n items justify: +-z^2 / (n + z^2).

    Args:
        lost: Items that only the first of the two got right.
        won: Items that only the second got right.
        n: All items, at least 1.
        confidence: Between 0 and 1.

    Returns:
        Lower and upper limit, as proportions.

    Raises:
        ValueError: The counts are negative, or more than `n`.

    Source:
        Tango, "Equivalence test and confidence interval for the difference in proportions for
        the paired-sample design", Statistics in Medicine 17 (1998), 891-908.
    """
    if lost < 0 or won < 0 or n < 1 or lost + won > n:
        raise ValueError(f"{lost} lost and {won} won items can't be among {n}")
    z = statistics.NormalDist().inv_cdf(0.5 + confidence / 2)
    estimate = (lost - won) / n
    lower = _falling_root(lambda d: _paired_score(lost, won, n, d) - z, -1.0, estimate)
    upper = _falling_root(lambda d: _paired_score(lost, won, n, d) + z, estimate, 1.0)
    return lower, upper


def paired_p_value(lost: int, won: int, n: int, difference: float) -> float:
    """Chance of such counts, or worse ones, if the true difference is `difference` or less.

    One-sided, by the score that `paired_difference_interval` inverts: below 2.5 % exactly where
    the lower limit of its 95 % interval lies above `difference`.

    Raises:
        ValueError: The counts are negative, or more than `n`.
    """
    if lost < 0 or won < 0 or n < 1 or lost + won > n:
        raise ValueError(f"{lost} lost and {won} won items can't be among {n}")
    return math.erfc(_paired_score(lost, won, n, difference) / math.sqrt(2)) / 2


def proportion_interval(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for one proportion.

    Args:
        hits: Items that have it, 0 to `n`.
        n: All items, at least 1.
        confidence: Between 0 and 1.

    Returns:
        Lower and upper limit, as proportions.

    Raises:
        ValueError: The counts are out of range.

    Source:
        Wilson, "Probable inference, the law of succession, and statistical inference", Journal
        of the American Statistical Association 22 (1927), 209-212.
    """
    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"{hits} items can't be among {n}")
    z = statistics.NormalDist().inv_cdf(0.5 + confidence / 2)
    share, weight = hits / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    # Exact at the ends, where rounding would leave the limit just inside.
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    return low, 1.0 if hits == n else min(1.0, middle + half)


def median_interval(
    values: Sequence[float], confidence: float = 0.95
) -> tuple[float, float] | None:
    """Interval for the median of the distribution that `values` come from.

    Two of the sorted values, as far inward as the binomial distribution of the number of
    values below the median allows: no assumption about the shape, only independence.

    Returns:
        Lower and upper limit, or None with too few values (under 6 at 95 %) for any two of
        them to hold the median that surely.

    Source:
        Conover, Practical Nonparametric Statistics, 3rd edition, section 3.2.
    """
    n = len(values)
    below = 0.0  # the chance that at most `depth` - 1 values lie below the median
    depth = 0
    while depth < n // 2:
        below += math.comb(n, depth) / 2**n
        if 2 * below > 1 - confidence:
            break
        depth += 1
    if depth == 0:
        return None
    ordered = sorted(values)
    return ordered[depth - 1], ordered[n - depth]


def images_to_settle(settled: Callable[[int], bool], n: int) -> int | None:
    """How many images would settle a question if the rates stayed as they were measured.

    Args:
        settled: Predicate: do so many images decide it? Once true, it stays true.
        n: Number of images that did not decide it.

    Returns:
        The number, rounded up to two digits; None where even ten million do not.
    """
    enough = n
    while not settled(enough):
        enough *= 2
        if enough > _MOST_IMAGES:
            return None
    few = enough // 2
    while enough - few > max(1, enough // 100):
        middle = (few + enough) // 2
        few, enough = (few, middle) if settled(middle) else (middle, enough)
    step = int(10 ** max(0, len(str(enough)) - 2))
    return -(-enough // step) * step


def _paired_score(lost: int, won: int, n: int, difference: float) -> float:
    """Tango's score statistic for the hypothesis that the true difference is `difference`.

    It falls as `difference` grows. `rare` is the maximum likelihood estimate of the chance of
    a won item under that hypothesis, the root of a quadratic.
    """
    linear = lost + won - (2 * n - lost + won) * difference
    constant = won * difference * (1 - difference)
    root = math.sqrt(max(0.0, linear * linear + 8 * n * constant))
    rare = (linear + root) / (4 * n)
    variance = n * (2 * rare + difference * (1 - difference))
    distance = lost - won - n * difference
    if variance <= 0.0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def _falling_root(function: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if function(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2

"""Classes are judged as the worst of so many, each on its own images."""

import numpy as np
import pytest
from scipy import stats

from edge_convnext.core.intervals import paired_difference_interval, paired_p_value
from edge_convnext.report.class_drops import ClassCount, classes_past, judge_classes


@pytest.mark.parametrize(("lost", "won", "n"), [(9, 3, 32), (0, 0, 50), (25, 2, 102), (0, 4, 90)])
def test_the_p_value_is_where_the_interval_ends(lost, won, n):
    low, high = paired_difference_interval(lost, won, n)
    assert paired_p_value(lost, won, n, low) == pytest.approx(0.025, abs=1e-6)
    assert paired_p_value(lost, won, n, high) == pytest.approx(0.975, abs=1e-6)
    with pytest.raises(ValueError, match="can't be among"):
        paired_p_value(n, 1, n, 0.0)


def test_the_p_value_of_no_difference_is_mcnemars():
    lost, won, n = 17, 6, 200  # without a continuity correction
    z = (lost - won) / np.sqrt(lost + won)
    assert paired_p_value(lost, won, n, 0.0) == pytest.approx(stats.norm.sf(z))


def test_holm_finds_what_bonferroni_misses():
    """Of two classes the worse is tested at half the level, and then the other at all of it."""
    counts = [ClassCount("a", 40, 14, 0), ClassCount("b", 40, 5, 0)]
    p_values = [paired_p_value(one.lost, one.won, one.n, 0.01) for one in counts]
    assert p_values[0] < 0.0125 < p_values[1] < 0.025
    worst, other = judge_classes(counts, 1.0)
    assert (worst.name, worst.past, other.past) == ("a", True, True)
    halved = paired_difference_interval(14, 0, 40, 0.975)
    whole = paired_difference_interval(5, 0, 40, 0.95)
    for one, interval in ((worst, halved), (other, whole)):
        assert one.interval_pp == pytest.approx(tuple(100 * end for end in interval))
        assert one.interval_pp[0] > 1.0
    alone, _ = judge_classes([counts[1], ClassCount("c", 40, 0, 0)], 1.0)
    assert not alone.past  # the same counts, as the worst of two


def test_a_class_is_within_only_if_all_intervals_hold_together():
    one = ClassCount("a", 100, 0, 0)
    high = 100 * paired_difference_interval(0, 0, 100, 0.95)[1]
    assert judge_classes([one], high + 0.01)[0].within
    both = judge_classes([one, ClassCount("b", 100, 0, 0)], high + 0.01)
    assert [each.within for each in both] == [False, False]


def test_classes_come_worst_first_and_without_images_not_at_all():
    counts = [ClassCount(*one) for one in (("a", 9, 1, 0), ("b", 0, 0, 0), ("c", 90, 50, 0))]
    assert [one.name for one in judge_classes(counts, 1.0)] == ["c", "a"]
    few_but_all = [ClassCount("few", 2, 2, 0), ClassCount("many", 500, 100, 0)]
    first, second = judge_classes(few_but_all, 15.0)
    assert (first.name, first.past, second.past) == ("many", True, False)  # the surest first
    assert (first.drop_pp, second.drop_pp) == (20.0, 100.0)


def test_one_class_is_past_the_limit_by_its_estimate():
    for lost, past in ((5, ()), (6, ("a",))):
        assert classes_past([ClassCount("a", 100, lost, 0)], 5.0) == past


def test_by_chance_alone_no_class_is_past_the_limit():
    """2 % of the images change sides either way; of 120 sets with 100 classes 3 may err."""
    random = np.random.default_rng(0)
    wrong = 0
    for draws in random.multinomial(100, [0.02, 0.02, 0.96], size=(120, 100)):
        counts = [
            ClassCount(str(place), 100, *map(int, one[:2])) for place, one in enumerate(draws)
        ]
        wrong += any(one.past for one in judge_classes(counts, 1.0))
    assert wrong <= 8

from types import SimpleNamespace

import pytest
from support.verdicts import counted

from edge_convnext.core.intervals import paired_difference_interval
from edge_convnext.report import how_many_more
from edge_convnext.report.class_drops import ClassCount


def test_images_that_would_show_a_drop():
    found = how_many_more.images_to_show(counted(6, 1, 1000), 1.0)
    assert 1000 < found < 3000
    low, high = paired_difference_interval(round(0.006 * found), round(0.001 * found), found)
    assert 100 * high <= 1.0 or 100 * low > 1.0
    for name in ("lost", "won"):
        one = counted(6, 1, 1000).model_copy(update={name: None})
        assert how_many_more.images_to_show(one, 1.0) is None
    past = how_many_more.images_to_show(counted(20, 1, 1000), 1.0)
    low, _ = paired_difference_interval(round(0.02 * past), round(0.001 * past), past)
    assert 100 * low > 1.0


@pytest.mark.parametrize(
    ("number", "told"), [(7, 7), (10, 10), (99, 99), (100, 100), (101, 110), (999, 1000)]
)
def test_numbers_are_rounded_up_to_two_digits(number, told):
    assert how_many_more._up(number) == told


def race(ratio=1.25, interval=(0.75, 1.5), loads=None, rounds=None):
    return SimpleNamespace(
        speedup_vs_best_float=ratio, speedup_vs_best_float_ci95=interval, chosen="int8",
        judge_loads=loads, judge_rounds=rounds,
        row=lambda *of: SimpleNamespace(rounds=20) if of == ("int8", 1) else None,
    )  # fmt: skip


def test_rounds_that_would_show_a_speed_go_by_the_distance_to_one():
    # From 1.25 down to 0.75 is twice as far as down to 1: four times the rounds, and one more.
    assert how_many_more.rounds_to_show(race(), 1) == 81
    assert how_many_more.rounds_to_show(race(0.75, (0.5, 1.25)), 1) == 81
    assert how_many_more.rounds_to_show(race(loads=9, rounds=18), 1) == 74
    assert how_many_more.rounds_to_show(race(loads=9, rounds=20), 1) == 120  # three a load
    assert how_many_more.rounds_to_show(race(interval=(0.25, 2.0)), 1) == 330
    far = race(interval=(-1.0, 9.0), loads=9, rounds=180)
    for one in (race(None), race(1.25, None), race(1.0), far):
        assert how_many_more.rounds_to_show(one, 1) is None
    assert how_many_more.rounds_to_show(race(), 8) is None


def test_images_that_would_show_every_class_are_those_of_the_neediest():
    counts = [ClassCount("a", 100, 4, 0), ClassCount("b", 100, 0, 0)]
    each = [how_many_more._images(one.lost, one.won, one.n, 5.0, 1 - 0.05 / 2) for one in counts]
    found = how_many_more.images_to_show_classes(counts, 200, 5.0)
    assert found == how_many_more._up(-(-200 * max(each) // 100))
    low, high = paired_difference_interval(round(0.04 * each[0]), 0, each[0], 0.975)
    assert 100 * high <= 5.0
    assert low < high
    even = [ClassCount("a", 100, 5, 0)]
    assert how_many_more.images_to_show_classes(even, 100, 5.0) is None

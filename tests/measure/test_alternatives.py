import numpy as np
import pytest

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.measure.alternatives import BGR, Found, find_better_way

NOW = Preprocess(image_size=224)
ALL = ("image_size", "resize", "mean", "std", BGR)


def answering(want, share=0.95, n=200):
    """Right on `share` of the images in the ways that `want` likes, and nowhere else."""
    asked = []
    place = np.random.default_rng(0).permutation(n)

    def answer(way, count):
        asked.append((way, count))
        return (place < (share * n if want(way) else 0.1 * n))[:count]

    answer.asked = asked
    return answer


def test_another_size_is_found_and_stated():
    found = find_better_way(answering(lambda way: way[0].image_size == 96), 200, NOW, ALL)
    assert found.way[0].image_size == 96
    assert (found.before, found.after, found.n_images) == (20, 190, 200)
    assert found.flags(NOW) == "--image-size 96"


def test_colours_in_another_order_need_no_flag():
    found = find_better_way(answering(lambda way: way[1]), 200, NOW, ALL)
    assert found.way == (NOW, True)
    assert found.flags(NOW) == ""


@pytest.mark.parametrize("names", [(), ("crop_pct",)])
def test_what_may_not_change_is_not_tried(names):
    answer = answering(lambda way: True)
    assert find_better_way(answer, 200, NOW, names) is None
    assert {way for way, _ in answer.asked} == {(NOW, False)}


def test_mean_and_deviation_change_together_or_not_at_all():
    answer = answering(lambda way: False)
    assert find_better_way(answer, 200, NOW, ("mean",)) is None
    assert {way[0].mean for way, _ in answer.asked} == {NOW.mean}


def test_a_way_that_is_no_better_for_sure_is_none():
    assert find_better_way(answering(lambda way: way[1], share=0.11), 200, NOW, ALL) is None


def test_flags_shorten_values_that_are_the_same_for_all_channels():
    way = Preprocess(image_size=224, mean=(0.5,) * 3, std=(0.25, 0.5, 0.125))
    found = Found((way, False), 1, 2, 3, 4)
    assert found.flags(NOW) == "--mean 0.5 --std 0.25,0.5,0.125"


def test_the_sides_of_a_rectangle_are_tried_the_other_way_round():
    now = Preprocess(image_size=(64, 96))
    found = find_better_way(answering(lambda way: way[0].image_size == (96, 64)), 200, now, ALL)
    assert found.way[0].image_size == (96, 64)
    assert found.flags(now) == "--image-size 96,64"
    square = find_better_way(answering(lambda way: way[0].image_size == 128), 200, now, ALL)
    assert square.flags(now) == "--image-size 128"


def test_a_way_that_another_surely_beats_is_tried_on_the_first_images_alone():
    answer = answering(lambda way: way[0].image_size == 96)
    assert find_better_way(answer, 200, NOW, ("image_size",)) is not None
    whole = {way[0].image_size for way, count in answer.asked if count == 200}
    assert whole == {NOW.image_size, 96}
    assert {count for _, count in answer.asked} == {200, 66}


def test_ways_that_are_near_each_other_on_the_first_images_are_tried_on_all():
    answer = answering(lambda way: way[0].image_size in {96, 128})
    assert find_better_way(answer, 200, NOW, ("image_size",)).way[0].image_size == 96
    whole = {way[0].image_size for way, count in answer.asked if count == 200}
    assert whole == {NOW.image_size, 96, 128}


def test_six_images_are_the_fewest_that_leave_a_way_out():
    answer = answering(lambda way: way[1], share=1.0, n=12)
    assert find_better_way(answer, 12, NOW, (BGR,)).way == (NOW, True)
    assert {count for _, count in answer.asked} == {12, 6}

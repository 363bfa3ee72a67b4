import numpy as np

from edge_convnext.graph.foreign.numbers import relative_error


def test_the_largest_difference_over_the_largest_value():
    assert relative_error(np.array([1.0, -4.0]), np.array([1.5, -4.0])) == 0.125
    assert relative_error(np.zeros(2), np.zeros(2)) == 0


def test_other_shapes_and_no_numbers_are_infinitely_far():
    one = np.ones(2)
    for other in (np.ones(3), np.array([1, np.nan]), np.array([np.inf, 1])):
        assert relative_error(one, other) == np.inf
    assert relative_error(np.array([np.nan, 1]), one) == np.inf
    assert relative_error(np.empty(0), np.empty(0)) == np.inf

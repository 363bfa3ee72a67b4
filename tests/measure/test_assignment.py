import itertools

import numpy as np
import pytest

from edge_convnext.measure.assignment import assign


@pytest.mark.parametrize("seed", range(20))
def test_the_assignment_is_the_best_of_all_permutations(seed):
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 7))
    whole = seed % 2 == 0  # many equal sums, or none
    gains = random.integers(0, 5, (size, size)) * 1.0 if whole else random.normal(size=(size, size))
    found = assign(gains)
    assert sorted(found) == list(range(size))
    rows = np.arange(size)
    best = max(gains[rows, list(one)].sum() for one in itertools.permutations(rows))
    assert gains[rows, found].sum() == pytest.approx(best)

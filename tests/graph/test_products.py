"""Products by ONNX Runtime are those of NumPy."""

import numpy as np
import pytest

from edge_convnext.graph.products import multiply


@pytest.mark.parametrize("sides", [(3, 5, 7), (64, 1, 9), (1, 300, 1)])
def test_a_product_is_numpys_whatever_the_layout(sides):
    n, k, m = sides
    draw = np.random.default_rng(0)
    left = draw.standard_normal((k, n)).astype(np.float32).T  # not in the order of C
    right = draw.standard_normal((k, m)).astype(np.float32)
    found = multiply(left, right)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, left.astype(np.float64) @ right, rtol=1e-5, atol=1e-5)


def test_nothing_times_something_is_zero():
    assert multiply(np.ones((2, 0), np.float32), np.ones((0, 3), np.float32)).tolist() == [
        [0, 0, 0],
        [0, 0, 0],
    ]

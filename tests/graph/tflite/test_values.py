"""Where the axes of a value lie."""

from __future__ import annotations

import pytest

from edge_convnext.graph.tflite.values import Value, identity


def test_the_identity_is_the_order_of_onnx():
    assert identity(4) == (0, 1, 2, 3)
    assert identity(0) == ()


@pytest.mark.parametrize(
    ("order", "lies"),
    [((0, 1, 2, 3), (1, 8, 6, 10)), ((0, 3, 1, 2), (1, 6, 10, 8)), ((3, 2, 1, 0), (10, 6, 8, 1))],
)
def test_the_shape_of_a_tensor_is_that_of_the_value_by_places(order, lies):
    assert Value(0, (1, 8, 6, 10), order).lies == lies

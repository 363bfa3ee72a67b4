"""Grids and rounding, number by number."""

import numpy as np
import pytest

from edge_convnext.graph.affine import Grid, make_grid, round_weight

F32 = np.float32


@pytest.mark.parametrize(
    ("low", "high", "kind", "scale", "zero_point"),
    [
        (-2.0, 1.0, "int8", 2 / 127, 0),
        (-1.0, 3.0, "int8", 3 / 127, 0),
        (0.0, 0.0, "int8", 1e-12 / 127, 0),
        (1.0, 4.0, "int8", 4 / 127, 0),
        (-1.0, 3.0, "uint8", 4 / 255, 64),  # 63.75
        (2.0, 5.0, "uint8", 5 / 255, 0),  # zero has to be on the grid
        (-5.0, -2.0, "uint8", 5 / 255, 255),
        (-0.5, 0.5, "uint8", 1 / 255, 128),  # 127.5, to even
        (0.0, 0.0, "uint8", 1e-12 / 255, 0),
    ],
)
def test_a_grid_spans_the_range(low, high, kind, scale, zero_point):
    grid = make_grid(low, high, kind)
    assert (grid.scale, grid.zero_point, grid.kind) == (pytest.approx(scale), zero_point, kind)
    assert isinstance(grid.zero_point, int)


def test_a_signed_grid_rounds_half_to_even_and_saturates():
    values = np.array([0.24, 0.25, 0.75, -0.25, 63.5, 64.5, -64.0, -65.0], F32)
    found = Grid(0.5, 0, "int8").round(values)
    assert found.dtype == F32
    assert found.tolist() == [0.0, 0.0, 1.0, 0.0, 63.5, 63.5, -64.0, -64.0]


def test_an_unsigned_grid_saturates_on_either_side_of_its_zero_point():
    values = np.array([-2.0, -1.5, -1.0, 0.0, 0.25, 126.0, 126.5, 127.0], F32)
    found = Grid(0.5, 3, "uint8").round(values)
    assert found.tolist() == [-1.5, -1.5, -1.0, 0.0, 0.0, 126.0, 126.0, 126.0]


def test_a_weight_is_rounded_by_one_scale_for_each_output():
    weight = np.array([[1.27, 0.0, 254.0], [0.304, 0.0, -3.0], [-0.516, 0.0, 1.0]], F32)
    expected = np.array([[1.27, 0.0, 254.0], [0.30, 0.0, -4.0], [-0.52, 0.0, 0.0]], F32)
    np.testing.assert_allclose(round_weight(weight), expected, rtol=1e-6, atol=1e-7)

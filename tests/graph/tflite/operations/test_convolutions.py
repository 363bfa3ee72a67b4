"""Convolutions on LiteRT's own interpreter."""

from __future__ import annotations

import pytest
from support.litert_graphs import (
    assert_same,
    draw,
    make_graph,
    node,
    open_tflite,
)

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.tflite.operations.convolutions import split_rows
from edge_convnext.graph.tflite.write import to_tflite

LAST = node("Transpose", "images", out="t", perm=[0, 2, 3, 1])  # [N, H, W, C]
LEAST_DB = 35.0  # of 8 bits for each row


@pytest.mark.parametrize(
    ("shape", "given"),
    [
        ((16, 8, 1, 1), {}),
        ((16, 8, 3, 3), {"pads": [1, 1, 1, 1]}),
        ((16, 8, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),  # not LiteRT's SAME
        ((16, 8, 2, 2), {"strides": [2, 2]}),
        ((16, 8, 3, 3), {"dilations": [2, 2], "pads": [2, 2, 2, 2]}),
        ((8, 1, 7, 7), {"pads": [3, 3, 3, 3], "group": 8}),
        ((16, 1, 3, 3), {"pads": [1, 1, 1, 1], "group": 8}),
        ((8, 1, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2], "group": 8}),
    ],
)
@pytest.mark.parametrize("biased", [False, True])
def test_a_convolution(shape, given, biased):
    constants = {"w": draw(*shape), **({"b": draw(shape[0], seed=2)} if biased else {})}
    made = node("Conv", "images", *constants, kernel_shape=list(shape[2:]), **given)
    assert_same(made, **constants, atol=1e-4)


@pytest.mark.parametrize(
    ("made", "constants", "why"),
    [
        (
            node("Conv", "images", "w", kernel_shape=[1, 1], group=2),
            {"w": draw(8, 4, 1, 1)},
            "it has 2 groups",
        ),
        (
            node("Conv", "images", "w", kernel_shape=[3, 3], auto_pad="SAME_UPPER"),
            {"w": draw(8, 8, 3, 3)},
            "pads by itself",
        ),
    ],
)
def test_what_has_no_form_there_is_refused_by_name(made, constants, why):
    with pytest.raises(ExportError, match=f"{made.name}: .*{why}"):
        to_tflite(make_graph(made, **constants))


@pytest.mark.parametrize(
    ("height", "width", "parts"),
    [
        (7, 7, [(1, 3, 5), (0, 6), (2, 4)]),
        (9, 9, [(4,), (0, 8), (1, 7), (2, 6), (3, 5)]),
        (5, 5, [(0, 1, 2, 3, 4)]),  # there is a kernel for it
        (8, 8, [tuple(range(8))]),  # no middle
        (3, 13, [(0, 1, 2)]),  # not even two rows are small enough
        (3, 3, [(0, 1, 2)]),
    ],
)
def test_rows_of_a_large_window_lie_evenly_about_its_middle(height, width, parts):
    assert split_rows(height, width) == parts
    assert sorted(row for part in parts for row in part) == list(range(height))


@pytest.mark.parametrize("size", [7, 9])
def test_a_large_depthwise_window_is_a_sum_of_parts_that_xnnpack_has_kernels_for(size):
    weight = draw(8, 1, size, size)
    given = {"kernel_shape": [size, size], "pads": [size // 2] * 4, "group": 8}
    made = node("Conv", "images", "w", "b", **given)
    assert_same(made, w=weight, b=draw(8), atol=1e-4)
    interpreter = open_tflite(to_tflite(make_graph(made, w=weight, b=draw(8))))
    kinds = [one["op_name"] for one in interpreter._get_ops_details()]
    assert kinds.count("DEPTHWISE_CONV_2D") == len(split_rows(size, size))


def test_a_large_window_that_strides_stays_whole():
    given = {"kernel_shape": [7, 7], "pads": [3] * 4, "strides": [2, 2], "group": 8}
    assert_same(node("Conv", "images", "w", **given), w=draw(8, 1, 7, 7), atol=1e-4)

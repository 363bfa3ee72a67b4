"""Padding of windows, in LiteRT's words."""

from __future__ import annotations

import pytest
from support.litert_graphs import node

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.tflite.operations.windows import window
from edge_convnext.graph.tflite.writing import attributes


def padding(sides, size, **given):
    made = node("Conv", "images", "w", **given)
    return window(made, attributes(made), sides, [size, size])


def test_no_padding_is_valid():
    assert padding((8, 8), 3) == ("VALID", None)


@pytest.mark.parametrize(
    ("sides", "size", "given"),
    [
        ((8, 9), 3, {"pads": [1, 1, 1, 1]}),
        ((8, 9), 7, {"pads": [3, 3, 3, 3]}),
        ((8, 8), 3, {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
        ((9, 9), 3, {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ((8, 8), 3, {"pads": [0, 0, 1, 1], "strides": [2, 2]}),
    ],
)
def test_padding_that_keeps_the_middle_is_same(sides, size, given):
    assert padding(sides, size, **given) == ("SAME", None)


def test_other_padding_is_written_beforehand():
    kind, zeros = padding((8, 8), 3, pads=[1, 1, 1, 1], strides=[2, 2])
    assert kind == "VALID"
    assert zeros.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]


@pytest.mark.parametrize("given", [{"auto_pad": "SAME_UPPER"}, {"ceil_mode": 1}])
def test_sizes_that_an_operation_settles_itself_are_refused(given):
    with pytest.raises(ExportError, match="rounds sizes up, or pads by itself"):
        padding((8, 8), 3, **given)

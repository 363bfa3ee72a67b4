"""What runs in INT8 in LiteRT: operators of dynamic range, and whether XNNPACK took them."""

from __future__ import annotations

import pytest
from support.litert_graphs import draw, make_graph, node, quantized_weight, write_lite

from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.litert.int8_products import Operator, left_behind
from edge_convnext.runtimes.load import count_int8


@pytest.fixture
def graph(tmp_path):
    """A float convolution, and a product in INT8."""
    proto = make_graph(
        node("Conv", "images", "c", out="m", kernel_shape=[1, 1]),
        node("Transpose", "m", out="t", perm=[0, 2, 3, 1]),
        node("DequantizeLinear", "q", "s", "z", out="w", axis=1),
        node("MatMul", "t", "w", out="p"),
        node("ReduceMean", "p", "axes", keepdims=0),
        c=draw(8, 8, 1, 1), axes=[1, 2], **quantized_weight(draw(8, 16), 1),
    )  # fmt: skip
    return write_lite(proto, tmp_path / "graph.tflite")


def test_products_with_integer_weights_are_planned_and_found(graph):
    counted = count_int8("litert", graph, RuntimeOptions(batch=1))
    assert counted.planned == ("n/p/MatMul",)
    assert (counted.found, counted.missing, counted.beyond) == (1, (), ())


def test_a_float_graph_plans_none(tmp_path):
    path = write_lite(
        make_graph(
            node("Conv", "images", "c", out="m", kernel_shape=[1, 1]),
            node("ReduceMean", "m", "axes", keepdims=0),
            c=draw(8, 8, 1, 1), axes=[2, 3],
        ),
        tmp_path / "float.tflite",
    )  # fmt: skip
    counted = count_int8("litert", path, RuntimeOptions())
    assert (counted.planned, counted.found) == ((), 0)


def test_what_a_delegate_left_is_found_from_the_results_back():
    inside = Operator("FULLY_CONNECTED", (0, 1), (2,))
    between = Operator("GELU", (2,), (3,))
    behind = Operator("FULLY_CONNECTED", (3, 4), (5,))
    taken = Operator("DELEGATE", (0, 1), (2,))
    assert left_behind([inside, between, behind, taken], [5]) == {between, behind}
    whole = Operator("DELEGATE", (0, 1, 4), (5,))
    assert left_behind([inside, between, behind, whole], [5]) == set()
    assert left_behind([inside, between, behind], [5]) == {inside, between, behind}

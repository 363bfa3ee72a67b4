"""Matrix products on LiteRT's own interpreter."""

from __future__ import annotations

import pytest
from support.litert_graphs import (
    assert_same,
    draw,
    make_graph,
    node,
    open_tflite,
)

from edge_convnext.graph.tflite.write import to_tflite

LAST = node("Transpose", "images", out="t", perm=[0, 2, 3, 1])  # [N, H, W, C]
LEAST_DB = 35.0  # of 8 bits for each row


@pytest.mark.parametrize("bias", [(16,), (1, 16)])
def test_a_matrix_product_takes_in_its_bias(bias):
    nodes = (LAST, node("MatMul", "t", "w", out="p"), node("Add", "p", "b"))
    assert_same(*nodes, w=draw(8, 16), b=draw(*bias), atol=1e-4)
    proto = make_graph(*nodes, w=draw(8, 16), b=draw(*bias))
    kinds = [one["op_name"] for one in open_tflite(to_tflite(proto))._get_ops_details()]
    assert kinds.count("FULLY_CONNECTED") == 1
    assert "ADD" not in kinds


def test_a_product_that_others_read_too_keeps_its_own_result():
    nodes = (LAST, node("MatMul", "t", "w", out="p"), node("Add", "p", "b", out="q"))
    assert_same(*nodes, node("Mul", "p", "q"), w=draw(8, 16), b=draw(16), atol=1e-4)


@pytest.mark.parametrize("turned", [0, 1])
def test_gemm(turned):
    weight = draw(5, 480) if turned else draw(480, 5)
    made = node("Gemm", "f", "w", "b", transB=turned)
    assert_same(node("Flatten", "images", out="f"), made, w=weight, b=draw(5), atol=1e-3)


def test_a_product_of_two_computed_values():
    right = node("Transpose", "images", out="r", perm=[0, 1, 3, 2])
    assert_same(right, node("MatMul", "images", "r"), atol=1e-4)

"""Products on LiteRT's own interpreter: float ones, and those of dynamic range."""

from __future__ import annotations

import numpy as np
import pytest
from support.litert_graphs import (
    assert_same,
    both,
    by_litert,
    by_onnxruntime,
    draw,
    make_graph,
    node,
    open_tflite,
    quantized_weight,
    signal_to_noise_db,
)

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.tflite.operations.products import split_rows
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


def quantized(kind, weight, axis, *inputs, **given):
    """A product with INT8 weights, and the same with those weights in float32."""
    grid = quantized_weight(weight, axis)
    dequantize = node("DequantizeLinear", "q", "s", "z", out="w", axis=axis)
    return (dequantize, node(kind, *inputs, "w", **given)), grid


@pytest.mark.parametrize(
    ("kind", "weight", "axis", "given"),
    [
        ("MatMul", draw(8, 16), 1, {}),
        ("Conv", draw(16, 8, 1, 1), 0, {"kernel_shape": [1, 1]}),
        ("Conv", draw(16, 8, 2, 2), 0, {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ],
)
def test_weights_in_int8_make_a_product_of_dynamic_range_that_xnnpack_takes(
    kind, weight, axis, given
):
    source = "t" if kind == "MatMul" else "images"
    nodes, grid = quantized(kind, weight, axis, source, **given)
    before = (LAST,) if kind == "MatMul" else ()
    expected, found = both(*before, *nodes, images=3, **grid)
    assert LEAST_DB < signal_to_noise_db(expected, found) < 80.0  # near, and not float
    content = to_tflite(make_graph(*before, *nodes, **grid))
    interpreter = open_tflite(content)
    kinds = {one["dtype"].__name__ for one in interpreter.get_tensor_details()}
    assert "int8" in kinds
    # A quarter of the bytes of the weights.
    floats = to_tflite(make_graph(*before, nodes[1], w=weight))
    assert len(content) < len(floats)


def test_pairs_of_activations_are_left_out_for_the_ranges_of_each_inference():
    nodes, grid = quantized("MatMul", draw(8, 16), 1, "d")
    coarse = {"step": np.float32(1.0), "zero": np.int8(0)}  # a static range that ruins the values
    pair = (
        node("QuantizeLinear", "t", "step", "zero", out="i"),
        node("DequantizeLinear", "i", "step", "zero", out="d"),
    )
    proto = make_graph(LAST, *pair, *nodes, **grid, **coarse)
    shown = draw(1, 8, 6, 10, seed=7)
    without = make_graph(LAST, node("Identity", "t", out="d"), *nodes, **grid)
    expected = by_onnxruntime(without, shown)
    assert signal_to_noise_db(expected, by_onnxruntime(proto, shown)) < 15.0
    assert signal_to_noise_db(expected, by_litert(to_tflite(proto), shown)) > LEAST_DB


def test_a_depthwise_convolution_in_int8_is_written_with_its_rounded_weights_in_float():
    given = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "group": 8}
    nodes, grid = quantized("Conv", draw(8, 1, 3, 3), 0, "images", **given)
    assert_same(*nodes, **grid, atol=1e-4)


def test_weights_that_are_not_around_zero_become_floats():
    grid = quantized_weight(draw(8, 16), 1)
    shifted = {**grid, "z": np.full(16, 3, np.int8)}
    nodes = (node("DequantizeLinear", "q", "s", "z", out="w", axis=1), node("MatMul", "t", "w"))
    weight = ((grid["q"].astype(np.float32) - 3) * grid["s"]).astype(np.float32)
    shown = draw(1, 8, 6, 10, seed=7)
    found = by_litert(to_tflite(make_graph(LAST, *nodes, **shifted)), shown)
    # ONNX Runtime would round the activations of these nodes itself.
    expected = by_onnxruntime(make_graph(LAST, nodes[1], w=weight), shown)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


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

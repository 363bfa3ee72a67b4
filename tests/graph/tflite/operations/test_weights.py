"""INT8 weights, and the products of dynamic range that they make."""

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

from edge_convnext.graph.tflite.write import to_tflite

LAST = node("Transpose", "images", out="t", perm=[0, 2, 3, 1])  # [N, H, W, C]
LEAST_DB = 35.0  # of 8 bits for each row


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

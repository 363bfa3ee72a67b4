"""Reductions, norms and pooling, on LiteRT's own interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from support.litert_graphs import assert_same, draw, make_graph, node

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.tflite.operations.reductions import REDUCTIONS
from edge_convnext.graph.tflite.write import to_tflite

LAST = node("Transpose", "images", out="t", perm=[0, 2, 3, 1])  # [N, H, W, C]


@pytest.mark.parametrize("kind", [*REDUCTIONS, "ReduceL2", "ReduceSumSquare"])
@pytest.mark.parametrize("axes", [[1], [2, 3], [-1]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_a_reduction(kind, axes, keepdims):
    assert_same(node(kind, "images", "axes", keepdims=keepdims), axes=np.array(axes), atol=1e-4)


def test_axes_of_an_older_opset():
    assert_same(node("ReduceMean", "images", axes=[2, 3], keepdims=0), opset=17)


@pytest.mark.parametrize("affine", [False, True])
def test_layer_normalization(affine):
    scale = draw(8) if affine else np.ones(8, np.float32)
    bias = draw(8, seed=1) if affine else np.zeros(8, np.float32)
    norm = node("LayerNormalization", "t", "scale", "bias", axis=-1, epsilon=1e-6)
    assert_same(LAST, norm, scale=scale, bias=bias, atol=1e-4)


def test_batch_normalization():
    statistics = {name: draw(8, seed=at) for at, name in enumerate("abc")}
    statistics["d"] = np.abs(draw(8, seed=9)) + 0.5
    assert_same(node("BatchNormalization", "images", *"abcd"), **statistics, atol=1e-4)


def test_softmax():
    assert_same(LAST, node("Softmax", "t", axis=-1))


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
def test_pooling_of_the_whole_map(kind):
    assert_same(node(kind, "images"))


@pytest.mark.parametrize("kind", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize("strides", [[1, 1], [2, 2]])
def test_pooling(kind, strides):
    assert_same(node(kind, "images", kernel_shape=[2, 2], strides=strides))


def test_pooling_that_pads():
    window = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}
    assert_same(node("MaxPool", "images", **window))
    assert_same(node("AveragePool", "images", **window))


@pytest.mark.parametrize(
    ("nodes", "constants", "why"),
    [
        ((node("Softmax", "images", axis=1),), {}, "it is not over the last axis"),
        (
            (node("LayerNormalization", "images", "c", axis=2),),
            {"c": np.ones((6, 10), np.float32)},
            "it is over more than the last axis",
        ),
        (
            (node("MaxPool", "images", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),),
            {},
            "it pads the window unevenly",
        ),
    ],
)
def test_what_has_no_form_there_is_refused_by_name(nodes, constants, why):
    with pytest.raises(ExportError, match=why):
        to_tflite(make_graph(*nodes, **constants))

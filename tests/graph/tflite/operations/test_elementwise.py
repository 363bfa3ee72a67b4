"""Each elementwise operation, on LiteRT's own interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from support.litert_graphs import MAP, assert_same, draw, make_graph, node

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.tflite.operations.elementwise import BINARY, UNARY
from edge_convnext.graph.tflite.write import to_tflite


@pytest.mark.parametrize("kind", sorted(set(UNARY) - {"Sqrt"}))
def test_an_operation_of_one_input(kind):
    assert_same(node(kind, "images"), opset=20)


def test_a_root():
    assert_same(node("Abs", "images", out="a"), node("Sqrt", "a"))


@pytest.mark.parametrize("kind", sorted(BINARY))
@pytest.mark.parametrize("shape", [(1,), (8, 1, 1), (10,), (1, 8, 6, 10)])
def test_an_operation_with_a_constant_on_either_side(kind, shape):
    constant = np.abs(draw(*shape)) + 0.5
    assert_same(node(kind, "images", "c"), c=constant)
    if kind != "Div":  # by values near zero
        assert_same(node(kind, "c", "images"), c=constant)


@pytest.mark.parametrize("kind", sorted(set(BINARY) - {"Div"}))
def test_an_operation_of_two_values_that_broadcast(kind):
    mean = node("ReduceMean", "images", "axes", out="m", keepdims=1)
    assert_same(mean, node(kind, "images", "m"), axes=np.array([1]))
    assert_same(mean, node(kind, "m", "images"), axes=np.array([2, 3]))


def test_two_values_that_lie_differently():
    turned = node("Transpose", "images", out="t", perm=[0, 2, 3, 1])
    back = node("Transpose", "r", out="b", perm=[0, 3, 1, 2])
    assert_same(turned, node("Relu", "t", out="r"), back, node("Add", "images", "b"))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate):
    assert_same(node("Gelu", "images", approximate=approximate), atol=1e-4)


@pytest.mark.parametrize(
    "bounds", [{"low": 0.0}, {"low": 0.0, "high": 6.0}, {"low": -0.5, "high": 0.25}, {"high": 0.1}]
)
def test_clip(bounds):
    names = [name if name in bounds else "" for name in ("low", "high")]
    constants = {name: np.float32(value) for name, value in bounds.items()}
    assert_same(node("Clip", "images", *names), **constants)


def test_powers_and_reciprocals():
    assert_same(node("Pow", "images", "two"), two=np.float32(2))
    positive = node("Abs", "images", out="a")
    more = node("Add", "a", "one", out="b")
    assert_same(positive, more, node("Reciprocal", "b"), one=np.float32(1))
    assert_same(positive, more, node("Pow", "b", "half"), one=np.float32(1), half=np.float32(0.5))


def test_slopes():
    assert_same(node("LeakyRelu", "images", alpha=0.2))
    assert_same(node("Elu", "images"), atol=1e-4)


@pytest.mark.parametrize(
    ("nodes", "constants", "why"),
    [
        ((node("Pow", "images", "c"),), {"c": np.float32(3)}, "its exponent is neither 2 nor 0.5"),
        ((node("Elu", "images", alpha=2.0),), {}, "its alpha is not 1"),
        ((node("Max", "images", "c", "c"),), {"c": np.float32(3)}, "it has 3 inputs"),
    ],
)
def test_what_has_no_form_there_is_refused_by_name(nodes, constants, why):
    with pytest.raises(ExportError, match=why) as caught:
        to_tflite(make_graph(*nodes, shape=MAP, **constants))
    assert nodes[0].name in str(caught.value)
    assert "\n" not in str(caught.value)

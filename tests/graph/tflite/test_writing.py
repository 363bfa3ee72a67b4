"""The state of a translation: how values are laid, and who reads them."""

from __future__ import annotations

import numpy as np
import pytest
from support.litert_graphs import make_graph, node

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.tflite.values import Constant, Value
from edge_convnext.graph.tflite.writing import Writing, attributes, refuse

LAST = (0, 3, 1, 2)  # [N, C, H, W] in [N, H, W, C]


@pytest.fixture
def writing():
    graph = make_graph(
        node("Relu", "images", out="r"), node("Sigmoid", "r", out="s"), node("Mul", "r", "s")
    ).graph
    made = Writing(graph, {})
    made.values["images"] = Value(made.program.input("images", (1, 6, 10, 8)), (1, 8, 6, 10), LAST)
    return made


def kinds(writing):
    return list(writing.program._codes)


def test_a_value_that_lies_right_is_not_moved(writing):
    value = writing.values["images"]
    assert writing.laid(value, LAST, "n") is value
    assert kinds(writing) == []


def test_a_value_that_lies_otherwise_is_transposed(writing):
    made = writing.laid(writing.values["images"], (0, 1, 2, 3), "n")
    assert (made.shape, made.lies) == ((1, 8, 6, 10), (1, 8, 6, 10))
    assert kinds(writing) == ["TRANSPOSE"]


def test_axes_of_one_index_change_places_by_a_reshape(writing):
    tensor = writing.program.tensor("pooled", (1, 1, 1, 8))
    made = writing.laid(Value(tensor, (1, 8, 1, 1), LAST), (0, 1, 2, 3), "n")
    assert made.lies == (1, 8, 1, 1)
    assert kinds(writing) == ["RESHAPE"]


def test_the_images_of_a_batch_are_never_taken_for_an_axis_of_one_index(writing):
    tensor = writing.program.tensor("t", (1, 8))
    writing.laid(Value(tensor, (1, 8), (0, 1)), (1, 0), "n")
    assert kinds(writing) == ["TRANSPOSE"]


def test_constants_are_laid_as_the_value_lies(writing):
    value = writing.values["images"]
    index = writing.floats("c", np.arange(8, dtype=np.float32).reshape(8, 1, 1), value)
    assert writing.program._tensors[index].shape.tolist() == [8]


def test_a_value_with_one_reader_is_told_from_one_with_two(writing):
    assert writing.only_reader("images").op_type == "Relu"
    assert writing.only_reader("r") is None
    assert writing.only_reader("y") is None  # the result


def test_constants_are_told_from_values(writing):
    writing.values["c"] = Constant(np.ones(2))
    assert writing.constant("c").array.tolist() == [1, 1]
    assert writing.constant("images") is None


def test_an_input_that_is_left_out_is_refused(writing):
    with pytest.raises(ExportError, match=r"n/y/Clip: .*input 1 is left out"):
        writing.value(node("Clip", "images", ""), 1)


def test_too_many_axes_are_refused(writing):
    value = Value(0, (1, 2, 3, 4, 5, 6), (0, 1, 2, 3, 4, 5))
    with pytest.raises(ExportError, match="6 axes, and at most 5 work"):
        writing.emit(node("Relu", "x"), "RELU", (0,), value)


def test_attributes_and_the_words_of_a_refusal():
    one = node("Conv", "x", "w", strides=[2, 2], auto_pad="VALID")
    assert attributes(one) == {"strides": [2, 2], "auto_pad": b"VALID"}
    assert str(refuse(one, "of some reason")) == (
        "n/y/Conv: this Conv can't be written for LiteRT (of some reason); choose another runtime, "
        "or another --form"
    )

"""Operations that move values, on LiteRT's own interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper
from support.litert_graphs import assert_same, draw, make_graph, node, open_tflite

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.tflite.write import to_tflite


@pytest.mark.parametrize("perm", [[0, 2, 3, 1], [0, 3, 1, 2], [0, 1, 3, 2]])
def test_a_transpose_is_written_where_it_is_the_result(perm):
    assert_same(node("Transpose", "images", perm=perm))


def test_transposes_that_undo_each_other_are_not_written():
    proto = make_graph(
        node("Transpose", "images", out="t", perm=[0, 2, 3, 1]),
        node("Relu", "t", out="r"),
        node("Transpose", "r", out="b", perm=[0, 3, 1, 2]),
        node("GlobalAveragePool", "b", out="p"),
        node("Flatten", "p"),
    )
    kinds = [one["op_name"] for one in open_tflite(to_tflite(proto))._get_ops_details()]
    assert "TRANSPOSE" not in kinds


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_concat(axis):
    assert_same(node("Relu", "images", out="r"), node("Concat", "images", "r", axis=axis))


def test_split():
    parts = helper.make_node("Split", ["images"], ["a", "b"], name="n/Split", axis=1, num_outputs=2)
    assert_same(parts, node("Mul", "a", "b"))


def test_pad_and_slice():
    pads = np.array([0, 0, 1, 2, 0, 0, 3, 0])
    assert_same(node("Pad", "images", "pads"), pads=pads)
    cut = {"starts": np.array([1, -4]), "ends": np.array([5, 1 << 40]), "axes": np.array([2, 3])}
    assert_same(node("Slice", "images", "starts", "ends", "axes"), **cut)


def test_reshapes():
    assert_same(node("Flatten", "images"))
    assert_same(node("Reshape", "images", "to"), to=np.array([0, 8, -1]))
    squeezed = node("ReduceMean", "images", "axes", out="m", keepdims=1)
    assert_same(squeezed, node("Squeeze", "m", "axes"), axes=np.array([2, 3]))
    assert_same(node("Unsqueeze", "images", "one"), one=np.array([1]))


def test_patches_that_join_the_batch_do_so_for_any_number_of_images():
    patches = node("Reshape", "images", "rows", out="p")  # as MobileViT and Swin unfold images
    shifted = node("Mul", "p", "c", out="s")
    apart, again = np.array([-1, 3, 10]), np.array([-1, 6, 10, 8])
    back = node("Reshape", "s", "back")
    assert_same(patches, shifted, back, rows=apart, c=draw(3, 10), back=again)


def test_what_is_passed_on():
    assert_same(node("Identity", "images", out="i"), node("Cast", "i", to=1, out="c"),
                node("Relu", "c"))  # fmt: skip


def test_a_constant_that_is_moved_is_moved_beforehand():
    turned = node("Transpose", "c", out="t", perm=[1, 0])
    shaped = node("Reshape", "t", "to", out="s")
    assert_same(turned, shaped, node("Add", "images", "s"), c=draw(10, 6),
                to=np.array([6, 10]))  # fmt: skip


@pytest.mark.parametrize(
    ("made", "constants", "why"),
    [
        (node("Pad", "images", "p", mode="reflect"), {"p": np.ones(8, np.int64)}, "than zeros"),
        (
            node("Slice", "images", "a", "b", "c", "d"),
            {"a": np.array([0]), "b": np.array([6]), "c": np.array([2]), "d": np.array([2])},
            "its steps are not 1",
        ),
    ],
)
def test_what_has_no_form_there_is_refused_by_name(made, constants, why):
    with pytest.raises(ExportError, match=f"{made.name}: .*{why}"):
        to_tflite(make_graph(made, **constants))

"""What each operation allows, asked of small graphs; that it is right is in `test_pointwise`."""

import numpy as np
import pytest
from onnx import helper
from support.pointwise_nets import Net, draw

from edge_convnext.graph.file import copy_message
from edge_convnext.graph.layouts import PERMS, Maps, other, stance, turn, turning
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.structure import read_structure


def read(kind, *constants, layout="first", opset=20, rank=4, **named):
    """A node that reads `stem`, float[1, 6, 8, 8] or as if it were float[1, 8, 8, 6]."""
    net = Net()
    x = net.last("stem", "tokens") if layout == "last" else "stem"
    names = [net.constant(f"c{at}", value) for at, value in enumerate(constants)]
    net.node(kind, [x, *names], "made", **named)
    proto = net.done("made", rank)
    layouts = {"images": "first", "stem": "first", "tokens": "last"}
    maps = Maps(read_structure(proto), Wiring(proto), opset, layouts)
    return maps, proto.graph.node[-1]


@pytest.mark.parametrize(
    ("expected", "case"),
    [
        ("either", read("Relu")),
        ("either", read("Clip", np.float32(0), np.float32(6))),
        ("either", read("Add", draw(6, 1, 1))),
        ("either", read("Mul", np.float32(2))),
        ("either", read("Softmax", axis=1)),
        ("written", read("Softmax", axis=1, opset=12)),  # of all axes behind it
        ("either", read("GlobalAveragePool")),
        ("either", read("ReduceMean", np.array([1]))),
        ("either", read("ReduceMean", np.array([2, 3]), keepdims=0, rank=2)),
        ("either", read("ReduceMean", np.array([1]), keepdims=0, rank=3)),
        ("written", read("ReduceMean", np.array([2]), keepdims=0, rank=3)),
        ("either", read("ReduceMean", np.array([3]), layout="last")),
        ("written", read("ReduceMean", np.array([], np.int64), noop_with_empty_axes=1)),
        ("written", read("MaxPool", kernel_shape=[2, 2])),
        ("written", read("Conv", draw(6, 6, 1, 1))),
        ("written", read("GlobalAveragePool", layout="last")),
        ("last", read("MatMul", draw(6, 4), layout="last")),
        ("written", read("MatMul", draw(8, 4))),
        ("written", read("MatMul", draw(1, 1, 6, 4), layout="last")),
        ("last", read("LayerNormalization", draw(6), layout="last")),
        ("last", read("LayerNormalization", draw(6), layout="last", axis=3)),
        ("written", read("LayerNormalization", draw(8, 6), layout="last", axis=2)),
        ("written", read("LayerNormalization", draw(8))),
        ("written", read("Reshape", np.array([-1, 6 * 64]), rank=2)),
        ("written", read("Flatten", rank=2)),
    ],
    ids=lambda one: one if isinstance(one, str) else one[1].op_type,
)
def test_an_operation_works_in_either_layout_or_in_the_one_it_needs(expected, case):
    maps, node = case
    layout = "last" if node.input[0] == "tokens" else "first"
    found, own = stance(maps, node)
    assert found == expected
    assert own == layout


def pooled(kind, *constants, layout="first", **named):
    """A node that makes a row of a map of one position."""
    net = Net()
    x = net.node("GlobalAveragePool", ["stem"], "pool")
    x = net.last(x, "turned") if layout == "last" else x
    names = [net.constant(f"c{at}", value) for at, value in enumerate(constants)]
    net.node(kind, [x, *names], "made", **named)
    proto = net.done("made", 2)
    layouts = {"images": "first", "stem": "first", "pool": "first", "turned": "last"}
    return Maps(read_structure(proto), Wiring(proto), 20, layouts), proto.graph.node[-1]


@pytest.mark.parametrize("layout", ["first", "last"])
def test_for_a_row_of_one_position_the_layout_is_nothing(layout):
    assert stance(*pooled("Flatten", layout=layout)) == ("any", layout)
    for shape in ([0, 6], [-1, 6], [1, -1]):
        assert stance(*pooled("Reshape", np.array(shape), layout=layout)) == ("any", layout)
    assert stance(*pooled("Flatten", layout=layout, axis=3))[0] == "written"
    if layout == "first":  # 0 is the size that the axis of channels has there
        assert stance(*pooled("Reshape", np.array([1, 0])))[0] == "written"


def test_maps_in_two_layouts_and_other_values_are_read_as_they_are():
    net = Net()
    net.node("Add", ["stem", net.last("stem", "tokens")], "made")
    net.nodes[-1].input[1] = "tokens"
    maps, _ = read("Relu")
    node = helper.make_node("Add", ["stem", "tokens"], ["made"])
    maps.layouts["tokens"] = "last"
    assert stance(maps, node) == ("written", "first")
    assert stance(maps, helper.make_node("Relu", ["row"], ["made"])) == ("written", "first")


def test_operations_of_other_domains_are_not_known():
    maps, node = read("Relu")
    assert stance(maps, node)[0] == "either"
    node.domain = "com.microsoft"
    assert stance(maps, node)[0] == "written"
    maps, node = read("Transpose", perm=PERMS["last"])
    assert turning(maps, node) == "last"
    node.domain = "com.microsoft"
    assert turning(maps, node) is None


@pytest.mark.parametrize(("layout", "perm", "expected"), [
    ("first", [0, 2, 3, 1], "last"), ("last", [0, 3, 1, 2], "first"),
    ("first", [0, 3, 1, 2], None), ("last", [0, 2, 3, 1], None), ("first", [0, 1, 3, 2], None),
])  # fmt: skip
def test_a_transpose_may_turn_a_map_into_the_other_layout(layout, perm, expected):
    maps, node = read("Transpose", perm=perm, layout=layout)
    assert turning(maps, node) == expected
    assert other("first") == "last"
    assert other("last") == "first"


def turned(kind, *constants, layout, **named):
    """The node in another layout, and the constants that it got."""
    maps, node = read(kind, *constants, layout=other(layout), **named)
    stored = {}

    def store(name, suffix, value):
        stored[f"{name}.{suffix}"] = value
        return f"{name}.{suffix}"

    made = copy_message(node)
    turn(maps, made, layout, store)
    return made, stored


def test_constants_are_turned_and_single_numbers_stay():
    made, stored = turned("Mul", draw(6, 1, 1), layout="last")
    assert made.input[1] == "c0.last"
    np.testing.assert_array_equal(stored["c0.last"], draw(6, 1, 1).reshape(1, 1, 1, 6))
    made, stored = turned("Add", draw(6), layout="first")
    np.testing.assert_array_equal(stored["c0.first"], draw(6).reshape(1, 6, 1, 1))
    made, stored = turned("Mul", np.float32([2]), layout="last")
    assert (list(made.input), stored) == (["stem", "c0"], {})


@pytest.mark.parametrize(("layout", "axes", "expected"), [
    ("last", [1], [3]), ("last", [2, 3], [1, 2]), ("last", [-1, 1], [2, 3]),
    ("first", [3], [1]), ("first", [1, 2], [2, 3]), ("first", [-1], [1]),
])  # fmt: skip
def test_axes_move_with_the_channels(layout, axes, expected):
    _, stored = turned("ReduceMax", np.array(axes), layout=layout)
    (found,) = stored.values()
    assert found.tolist() == expected
    if len(axes) == 1:
        made, _ = turned("Softmax", layout=layout, axis=axes[0])
        assert helper.get_node_attr_value(made, "axis") == expected[0]


def test_a_pool_becomes_a_mean():
    made, stored = turned("GlobalAveragePool", layout="last")
    assert made.op_type == "ReduceMean"
    assert [value.tolist() for value in stored.values()] == [[1, 2]]

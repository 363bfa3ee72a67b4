import numpy as np
import onnxruntime
import pytest
from support.written_graphs import branched, draw, write

from edge_convnext.graph.idle_masks import drop_idle_masks

IMAGES = ("n", 3, 4, 4)  # three heads, four tokens of width four
TRUE = np.ones((1, 1, 4, 1), np.bool_)
CONSTANTS = {
    "seen": TRUE,
    "tail": np.array([1, 4, 4]),
    "start": np.array([0]),
    "end": np.array([1]),
    "nothing": np.float32(0),
    "hidden": np.float32(-np.inf),
    "half": np.float32(0.5),
}


def guarded(scores, values):
    """A Softmax whose rows are 0 where they are no numbers, and what it weighs."""
    return [
        ("Softmax", (scores,), "shares", {"axis": -1}),
        ("IsNaN", ("shares",), "none"),
        ("Where", ("none", "nothing", "shares"), "guarded"),
        ("MatMul", ("guarded", values), "answer"),
    ]


def attention(*, mask="seen", scale="half", **constants):
    """As torch's exporter writes transformers' attention."""
    nodes = [
        ("Shape", ("images",), "shape"),
        ("Slice", ("shape", "start", "end"), "batch"),
        ("Concat", ("batch", "tail"), "sizes", {"axis": 0}),
        ("Expand", (mask, "sizes"), "wide"),
        ("Where", ("wide", "nothing", "hidden"), "bias"),
        ("Transpose", ("images",), "turned", {"perm": [0, 1, 3, 2]}),
        ("Mul", ("turned", scale), "keys"),
        ("MatMul", ("images", "keys"), "scores"),
        ("Add", ("scores", "bias"), "masked"),
        *guarded("masked", "images"),
    ]
    return write(nodes, {**CONSTANTS, **constants}, IMAGES)


def kinds(proto):
    return [node.op_type for node in proto.graph.node]


def run(proto, images):
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(None, {"images": images})[0]


@pytest.mark.parametrize("mask", ["seen", "scalar"])
def test_a_mask_that_hides_nothing_goes_with_its_guard(mask):
    proto = attention(mask=mask, scalar=np.bool_(True))
    images = draw(2, 3, 4, 4)
    expected = run(proto, images)
    assert drop_idle_masks(proto) == 8
    assert kinds(proto) == ["Transpose", "Mul", "MatMul", "Softmax", "MatMul"]
    assert {tensor.name for tensor in proto.graph.initializer} == {"half"}
    np.testing.assert_allclose(run(proto, images), expected, rtol=1e-6)


def some_hidden():
    mask = np.ones((1, 1, 4, 4), np.bool_)
    mask[..., 2:] = False
    return mask


@pytest.mark.parametrize(
    "constants",
    [
        {"seen": some_hidden()},
        {"seen": ~TRUE},  # every row is without a number, and comes out as zeros
    ],
)
def test_a_mask_that_hides_something_stays(constants):
    proto = attention(**constants)
    images = draw(2, 3, 4, 4)
    expected = run(proto, images)
    before = kinds(proto)
    assert drop_idle_masks(proto) == 0
    assert kinds(proto) == before
    np.testing.assert_array_equal(run(proto, images), expected)


def test_a_mask_that_shifts_all_alike_is_no_addition_of_zero():
    proto = attention(nothing=np.float32(0.5))
    assert drop_idle_masks(proto) == 2  # the guard: nothing is minus infinity
    assert kinds(proto)[-3:] == ["Add", "Softmax", "MatMul"]


def test_a_finite_mask_stays_and_the_guard_goes():
    nodes = [
        ("MatMul", ("images", "turn"), "scores"),
        ("Add", ("scores", "shifts"), "masked"),
        *guarded("masked", "turn"),
    ]
    constants = {"turn": draw(4, 4), "shifts": -100 * draw(4, 4), "nothing": np.float32(0)}
    proto = write(nodes, constants, IMAGES)
    assert drop_idle_masks(proto) == 2
    assert kinds(proto) == ["MatMul", "Add", "Softmax", "MatMul"]
    constants["shifts"][0] = -np.inf
    assert drop_idle_masks(write(nodes, constants, IMAGES)) == 0


@pytest.mark.parametrize(
    ("before", "constants"),
    [
        (("Div", ("scores", "zero"), "y"), {"zero": np.float32(0)}),
        (("Log", ("scores",), "y"), {}),
        (("Add", ("scores", "images"), "y"), {}),  # what comes in is not looked at
    ],
)
def test_a_guard_stays_where_a_row_may_be_without_a_number(before, constants):
    nodes = [
        ("MatMul", ("images", "turn"), "scores"),
        before,
        *guarded("y", "turn"),
    ]
    constants = {"turn": draw(4, 4), "nothing": np.float32(0), **constants}
    assert drop_idle_masks(write(nodes, constants, IMAGES)) == 0


def test_an_addition_of_zeros_that_widens_stays():
    nodes = [
        ("ReduceMean", ("images", "axis"), "row"),
        ("Expand", ("nothing", "sizes"), "zeros"),
        ("Add", ("zeros", "row"), "wide"),
        ("IsNaN", ("wide",), "none"),
        ("Where", ("none", "wide", "wide"), "answer"),
    ]
    constants = {"axis": np.array([2]), "nothing": np.float32(0), "sizes": np.array([1, 3, 4, 4])}
    assert drop_idle_masks(write(nodes, constants, IMAGES)) == 0


def test_other_graphs_are_left_as_they_are():
    proto = branched()
    before = proto.SerializeToString()
    assert drop_idle_masks(proto) == 0
    assert proto.SerializeToString() == before

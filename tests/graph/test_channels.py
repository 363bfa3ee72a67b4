import numpy as np
import pytest
from support.tiny_qdq import Builder
from support.written_networks import attention, gated, normal

from edge_convnext.graph.channels import follow
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.structure import read_structure


def route(proto, tensor, axis):
    return follow(read_structure(proto), Wiring(proto), tensor, axis)


@pytest.mark.parametrize("batch", [1, "batch"])
def test_the_values_of_attention_reach_the_projection(batch):
    found = route(attention(batch), "qkv", -1)
    (reader,) = found.readers
    assert (reader.node, reader.tensor, reader.weight_axis) == ("projected/MatMul", "joined", 0)
    assert reader.ids.tolist() == list(range(16, 24))  # of q, k, v, the last
    assert found.held == set(range(16))  # q and k are compared with each other
    (shift,) = found.shifts
    assert (shift.node, shift.position, shift.ids.tolist()) == (
        "qkv_biased/Add", 1, list(range(24)),
    )  # fmt: skip


def test_a_map_reaches_its_gate_and_what_it_scales():
    found = route(gated(), "dw", 1)
    assert [one.node for one in found.readers] == ["left/Conv", "right/Conv", "reduce/Conv"]
    assert found.held == set()
    (only,) = route(gated(), "stem", 1).readers
    assert (only.node, only.axis, only.weight_axis) == ("dw/Conv", -3, 0)


def test_a_residual_and_the_logits_hold_their_channels():
    assert route(attention(), "projected", -1).held == set(range(8))
    assert route(attention(), "logits", -1).held == set(range(5))
    assert route(gated(), "left", 1).readers == []  # a Concat holds


@pytest.mark.parametrize(
    ("activation", "bound", "passes"),
    [("Relu", None, True), ("Clip", None, True), ("Clip", 6.0, False), ("HardSwish", None, False),
     ("LeakyRelu", None, True)],
)  # fmt: skip
def test_what_is_bounded_above_or_curved_holds_its_channels(activation, bound, passes):
    found = route(gated(activation=activation, bound=bound), "stem", 1)
    assert bool(found.readers) == passes
    assert (found.held == set()) == passes


def two_steps(kind, *constants, weight=(5, 4, 1, 1), reader="Conv", **attributes):
    build = Builder()
    names = [build.constant(f"c{at}", one) for at, one in enumerate(constants)]
    made = build.node(kind, ["images", *names], "made", **attributes)
    y = build.node(reader, [made, build.constant("w", normal(*weight))], "y")
    return build.model({"images": [1, 4, 6, 6]}, y, 4)


@pytest.mark.parametrize(
    ("proto", "passes"),
    [
        (two_steps("AveragePool", kernel_shape=[2, 2]), True),
        (two_steps("Softmax", axis=1), False),
        (two_steps("Mul", normal(4, 1, 1)), True),
        (two_steps("Add", normal(4, 1, 1)), True),
        (two_steps("ReduceMean", np.array([2, 3])), True),
        (two_steps("ReduceMean", np.array([1]), weight=(5, 1, 1, 1)), False),  # mixes channels
        (two_steps("Transpose", perm=[0, 2, 3, 1], weight=(4, 5), reader="MatMul"), True),
        (two_steps("Transpose", perm=[0, 2, 1, 3], weight=(6, 5), reader="MatMul"), False),
        (two_steps("Relu", weight=(4, 2, 1, 1)), True),
    ],
)
def test_a_factor_passes_what_leaves_channels_apart(proto, passes):
    if proto.graph.node[0].op_type == "Relu":  # groups that add up two channels
        proto.graph.node[1].attribute.add(name="group", type=2, i=2)
        passes = False
    found = route(proto, "images", 1)
    assert bool(found.readers) == passes
    assert found.held == (set() if passes else set(range(4)))


def test_a_value_that_is_multiplied_with_itself_holds():
    build = Builder()
    square = build.node("Mul", ["images", "images"], "square")
    y = build.node("Conv", [square, build.constant("w", normal(5, 4, 1, 1))], "y")
    assert route(build.model({"images": [1, 4, 2, 2]}, y, 4), "images", 1).readers == []
    build = Builder()
    left, right = (build.node("Relu", ["images"], name) for name in ("left", "right"))
    both = build.node("Mul", [left, right], "both")
    y = build.node("Conv", [both, build.constant("w", normal(5, 4, 1, 1))], "y")
    assert route(build.model({"images": [1, 4, 2, 2]}, y, 4), "images", 1).held == set(range(4))

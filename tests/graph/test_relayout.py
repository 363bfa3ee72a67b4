"""Where Transposes are put: the cheapest places; that graphs stay right is in `test_pointwise`."""

from __future__ import annotations

import onnx
from support.pointwise_nets import Net, count, error

from edge_convnext.graph.layout_steps import Pointwise
from edge_convnext.graph.relayout import relayout


def product(proto, name, stance="last"):
    """The 1x1 convolution of a name."""
    (node,) = (node for node in proto.graph.node if node.name == f"{name}/Conv")
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in proto.graph.initializer}
    weight, bias = node.input[1], node.input[2]
    matrix = constants[weight][:, :, 0, 0].T
    return Pointwise((node,), "first", stance, weight, bias, matrix, constants[bias])


def rewritten(proto, *names, stance="last"):
    made = relayout(proto, [product(proto, name, stance) for name in names])
    onnx.checker.check_model(made, full_check=True)
    assert error(proto, made) <= 1e-5
    return made


def turned(proto):
    """What is turned, by name of the value."""
    return [node.input[0] for node in proto.graph.node if node.op_type == "Transpose"]


def test_a_transpose_stands_where_the_map_is_smallest():
    net = Net()
    wide = net.conv("stem", "widen", 6, 12, side=3)
    x = net.node("Split", [wide], "low", axis=1, num_outputs=2)
    net.nodes[-1].output.append("high")
    x = net.node("Mul", ["low", "high"], "gated")
    proto = net.head(net.conv(net.node("Tanh", [x], "act"), "one", 6, 6))
    # Behind the product of both halves there are half the numbers.
    made = rewritten(proto, "one")
    assert turned(made) == ["act"]
    assert [node.op_type for node in made.graph.node][-5:] == [
        "MatMul", "Add", "ReduceMean", "Flatten", "Gemm",
    ]  # fmt: skip


def test_an_activation_stays_beside_the_convolution_that_runtimes_fuse_it_with():
    net = Net()
    x = net.node("Relu", [net.node("Tanh", ["stem"], "one_act")], "two_act")
    x = net.conv(net.node("Relu", [net.conv(x, "one", 6, 6)], "act"), "window", 6, 6, side=3)
    made = rewritten(net.head(x), "one")
    assert turned(made) == ["two_act", "one.last"]


def test_a_product_that_may_be_either_stays_where_that_costs_nothing():
    net = Net()
    proto = net.head(net.conv(net.node("Relu", ["stem"], "relu"), "one", 6, 6))
    assert relayout(proto, [product(proto, "one", "either")]) == proto
    assert count(rewritten(proto, "one"), "MatMul") == (1,)


def test_two_products_of_which_one_is_rewritten():
    net = Net()
    proto = net.head(net.conv(net.conv("stem", "one", 6, 6), "two", 6, 6))
    made = rewritten(proto, "two")
    assert count(made, "Conv", "MatMul", "Transpose") == (2, 1, 1)


def test_one_transpose_is_cheaper_than_two_of_somewhat_fewer_numbers():
    net = Net()
    net.node("Split", ["stem"], "low", axis=1, num_outputs=3)
    net.nodes[-1].output.extend(["high", "unread"])
    x = [net.conv(name, f"{name}_one", 2, 6) for name in ("low", "high")]
    made = rewritten(net.head(net.node("Add", x, "sum")), "low_one", "high_one")
    assert turned(made) == ["stem"]


def test_maps_that_are_returned_ask_for_their_layout_as_readers_do():
    net = Net()
    x = net.node("Tanh", [net.conv("stem", "one", 6, 6)], "act")
    proto = net.head(net.node("Relu", [x], "relu"))
    for name in ("act", "relu"):
        proto.graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * 4)
        )
    made = rewritten(proto, "one")
    assert turned(made) == ["stem", "one.last"]

"""What the steps of a graph are, and in which layout its maps stand."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from support.pointwise_nets import IMAGES, Net, draw, error

from edge_convnext.graph.layout_steps import Pointwise, Steps
from edge_convnext.graph.pointwise import convolutions_to_products
from edge_convnext.graph.relayout import relayout


def test_a_transpose_between_layouts_is_no_step_and_gives_a_map_another_name():
    net = Net()
    x = net.first(net.last("stem", "tokens"), "again")
    steps = Steps(net.head(net.node("Transpose", [x], "mirrored", perm=[0, 1, 3, 2])), [])
    kinds = [step.node.op_type for step in steps.steps]
    assert kinds == ["Conv", "Transpose", "GlobalAveragePool", "Flatten", "Gemm"]
    assert steps.homes == {
        "images": "images", "stem": "stem", "tokens": "stem", "again": "stem",
        "mirrored": "mirrored", "pool": "pool",
    }  # fmt: skip
    assert {name for name, layout in steps.maps.layouts.items() if layout == "last"} == {"tokens"}


def test_a_product_of_several_nodes_is_one_step_that_reads_the_map_alone():
    net = Net()
    proto = net.head(net.first(net.linear(net.last("stem", "tokens"), "one", 6, 6), "map"))
    nodes = tuple(node for node in proto.graph.node if node.op_type in ("Add", "MatMul"))
    one = Pointwise(nodes, "last", "either", "one.weight", "one.bias", draw(6, 6), draw(6))
    (step,) = [step for step in Steps(proto, [one]).steps if step.product]
    assert (list(step.reads), list(step.makes)) == (["tokens"], ["one"])
    assert (step.stance, step.layout) == ("either", "last")


def test_a_product_in_another_layout_than_was_thought_is_no_product():
    net = Net()
    x = net.node("Reshape", ["stem", net.constant("shape", np.array([-1, 8, 6, 8]))], "moved")
    x = net.conv(x, "one", 8, 6)  # reads what looks like a map with the channels last
    y = net.node("MatMul", ["moved", net.constant("w", draw(8, 8))], "other")
    y = net.node("Reshape", [y, net.constant("back", np.array([-1, 6, 8, 8]))], "again")
    x = net.node("Add", [net.node("ReduceMean", [x], "one_mean"), y], "sum")
    proto = net.head(x)
    (node,) = (node for node in proto.graph.node if node.name == "one/Conv")
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in proto.graph.initializer}
    matrix = constants["one.weight"][:, :, 0, 0].T
    one = Pointwise((node,), "first", "last", "one.weight", "one.bias", matrix, draw(6))
    assert not any(step.product for step in Steps(proto, [one]).steps)
    made = relayout(proto, [one])
    assert made == proto
    assert error(proto, made, IMAGES) == 0


@pytest.mark.parametrize("reads", ["Transpose", "MatMul"])
def test_a_map_made_of_tokens_has_the_layout_that_its_readers_need(reads):
    net = Net()
    x = net.node("Reshape", ["stem", net.constant("long", np.array([-1, 6, 64]))], "rows")
    x = net.node("Transpose", [x], "tokens", perm=[0, 2, 1])
    x = net.node("Reshape", [x, net.constant("shape", np.array([-1, 8, 8, 6]))], "map")
    if reads == "MatMul":
        x = net.node("MatMul", [x, net.constant("w", draw(6, 6))], "mixed")
        x = net.node("Tanh", [x], "act")
    x = net.first(x, "turned")
    proto = net.head(net.conv(x, "one", 6, 6))
    # The Transpose that was there is gone: the product reads the map as it is made.
    made = convolutions_to_products(proto)
    turned = [one.input[0] for one in made.graph.node if one.op_type == "Transpose"]
    assert turned == ["rows"]
    assert error(proto, made) <= 1e-5

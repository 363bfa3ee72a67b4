import numpy as np
import pytest
from onnx import helper
from support.tiny_qdq import Builder

from edge_convnext.graph.float16_overflow import find_wide, leaves_range
from edge_convnext.graph.qdq import Wiring


def wired(*nodes, **constants):
    """Nodes are (operation, inputs, output)."""
    build = Builder()
    for name, value in constants.items():
        build.constant(name, np.asarray(value, np.float32))
    made = [helper.make_node(kind, inputs, [output]) for kind, inputs, output in nodes]
    x = helper.make_tensor_value_info("x", 1, [2, 2])
    graph = helper.make_graph(made, "g", [x], [], build.constants)
    return helper.make_model(graph)


@pytest.mark.parametrize(
    ("nodes", "constants", "leaves"),
    [
        ([("ReduceMean", ["x"], "y")], {}, True),
        ([("LayerNormalization", ["x", "w"], "y")], {"w": [1, 1]}, True),
        ([("Sqrt", ["x"], "y")], {}, True),
        ([("Mul", ["x", "x"], "y")], {}, True),
        ([("Mul", ["x", "w"], "y")], {"w": [2]}, False),
        ([("Reciprocal", ["x"], "r"), ("Mul", ["x", "r"], "y")], {}, True),
        ([("Div", ["x", "x"], "y")], {}, True),
        ([("Div", ["x", "w"], "y")], {"w": [2]}, False),
        ([("ReduceMean", ["x"], "m"), ("Sub", ["x", "m"], "y")], {}, True),
        ([("Sub", ["x", "w"], "y")], {"w": [2]}, False),
        ([("MatMul", ["x", "w"], "y")], {"w": [[1, 1], [1, 1]]}, True),
        ([("MatMul", ["x", "w"], "y")], {"w": [[1, 1], [1, 2]]}, False),
        ([("Add", ["x", "x"], "y")], {}, False),
    ],
)
def test_an_operation_that_leaves_the_range_is_known(nodes, constants, leaves):
    proto = wired(*nodes, **constants)
    assert leaves_range(proto.graph.node[-1], Wiring(proto)) == leaves


def test_arithmetic_of_wide_values_and_constants_is_wide():
    proto = wired(
        ("ReduceMean", ["x"], "variance"),
        ("Add", ["variance", "epsilon"], "held"),
        ("Mul", ["x", "held"], "map"),
        ("Add", ["epsilon", "epsilon"], "constant"),
        epsilon=[1e-6],
    )
    assert find_wide(proto, Wiring(proto)) == {"variance", "held"}
    assert find_wide(proto, Wiring(proto), ["map"]) == {"variance", "held", "map"}


@pytest.mark.parametrize("kind", ["Softmax", "Exp", "Log", "Softplus", "Mish", "CumSum"])
def test_powers_of_e_and_sums_leave_the_range(kind):
    proto = wired((kind, ["x"], "y"))
    assert leaves_range(proto.graph.node[0], Wiring(proto))


@pytest.mark.parametrize(
    ("kind", "leaves"), [("BatchNormalization", True), ("MaxPool", False), ("HardSwish", False)]
)
def test_what_only_compares_stays_in_the_range(kind, leaves):
    proto = wired((kind, ["x"], "y"))
    assert leaves_range(proto.graph.node[0], Wiring(proto)) == leaves


@pytest.mark.parametrize(("kernel", "leaves"), [([3, 3], False), ([2, 5], True), ([7, 7], True)])
def test_a_pool_of_many_positions_adds_up_many(kernel, leaves):
    proto = wired(("AveragePool", ["x"], "y"))
    proto.graph.node[0].attribute.append(helper.make_attribute("kernel_shape", kernel))
    assert leaves_range(proto.graph.node[0], Wiring(proto)) == leaves

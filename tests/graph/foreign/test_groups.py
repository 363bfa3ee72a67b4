import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edge_convnext.graph.foreign.groups import erf, find_groups, sigmoid
from edge_convnext.graph.foreign.index import Index


def graph():
    nodes = [
        helper.make_node("Add", ["x", "row"], ["a"]),
        helper.make_node("Mul", ["a", "two"], ["b"]),
        helper.make_node("Sub", ["one", "b"], ["c"]),
        helper.make_node("Clip", ["c", "", "one"], ["d"]),
        helper.make_node("Mul", ["d", "a"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "xy"]
    numbers = {"row": np.ones(3), "two": np.array(2.0), "one": np.array(1.0)}
    weights = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in numbers.items()]
    return helper.make_graph(nodes, "g", values[:1], values[1:], weights)


def test_groups_grow_backwards_to_what_has_one_input_and_scalars():
    index = Index(graph())
    order = {node.output[0]: at for at, node in enumerate(index.graph.node)}
    shapes = {"row": (3,)}
    found = list(find_groups(index, index.makers["y"], order, shapes, False))
    assert [one.root for one in found] == ["a"]  # `row` is no scalar
    assert [node.op_type for node in found[0].nodes] == ["Mul", "Sub", "Clip", "Mul"]
    values = found[0].compute(index, np.array([-1.0, 0.25, 3.0]))
    assert values.tolist() == [-1.0, 0.125, -15.0]
    wide = list(find_groups(index, index.makers["y"], order, shapes, True))
    assert [one.root for one in wide] == ["a", "x"]  # rows are let in where means are


def test_functions_of_numbers():
    assert np.allclose(erf(np.array([0.0, 1.0])), [0, 0.8427007929])
    assert np.allclose(sigmoid(np.array([0.0, 2.0])), [0.5, 0.8807970780])

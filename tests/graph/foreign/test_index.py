import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edge_convnext.graph.foreign.index import (
    Index,
    attribute_of,
    drop_unused,
    inline_constants,
    rename_values,
)


def graph():
    nodes = [
        helper.make_node("Constant", [], ["two"], value_float=2.0),
        helper.make_node("Mul", ["x", "two"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Neg", ["a"], ["unused"]),
        helper.make_node("LeakyRelu", ["b"], ["y"], alpha=0.5),
    ]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in "xy"]
    weights = [numpy_helper.from_array(np.ones(3, np.float32), "w")]
    return helper.make_graph(nodes, "g", values[:1], values[1:], weights)


def test_makers_readers_and_constants():
    found = graph()
    inline_constants(found)
    index = Index(found)
    assert index.makers["a"].op_type == "Mul"
    assert index.only_reader("a") is None  # two of them
    assert index.only_reader("b").op_type == "LeakyRelu"
    assert index.only_reader("y") is None
    assert index.only_made_by("b").op_type == "Relu"
    assert (index.scalar("two"), index.scalar("w"), index.scalar("x")) == (2.0, None, None)
    assert index.constant("w").tolist() == [1, 1, 1]
    assert attribute_of(index.makers["y"], "alpha") == 0.5
    assert attribute_of(index.makers["y"], "beta", 7) == 7


def test_constants_become_weights_of_each_kind():
    nodes = [
        helper.make_node("Constant", [], ["a"], value_floats=[1.0, 2.0]),
        helper.make_node("Constant", [], ["b"], value_int=3),
        helper.make_node("Constant", [], ["c"], value_ints=[4, 5]),
        helper.make_node("Constant", [], ["d"], value_string=b"text"),
    ]
    found = helper.make_graph(nodes, "g", [], [])
    inline_constants(found)
    index = Index(found)
    assert [index.constant(name).tolist() for name in "abc"] == [[1, 2], 3, [4, 5]]
    assert [node.output[0] for node in found.node] == ["d"]


def test_what_no_output_needs_goes():
    found = graph()
    inline_constants(found)
    drop_unused(found)
    assert [node.op_type for node in found.node] == ["Mul", "Relu", "LeakyRelu"]
    assert [one.name for one in found.initializer] == ["two"]


def test_every_value_is_renamed():
    found = graph()
    rename_values(found, lambda name: f"own/{name}")
    assert found.input[0].name == "own/x"
    assert found.initializer[0].name == "own/w"
    assert list(found.node[1].input) == ["own/x", "own/two"]

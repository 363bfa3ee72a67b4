import numpy as np
import pytest
from onnx import TensorProto, helper
from support.tiny_qdq import Builder

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.float16 import (
    find_floats,
    float32_inputs,
    is_beyond,
    makes_float32,
    round_to_float16,
    saturates,
)
from edge_convnext.graph.float16_numbers import LARGEST


def test_a_constant_is_rounded_or_refused():
    assert round_to_float16("w", np.array([LARGEST, 0.1])).tolist() == [65504.0, np.float16(0.1)]
    assert round_to_float16("w", np.zeros(0)).dtype == np.float16
    with pytest.raises(ExportError, match=r"w reaches 6\.551e\+04, and float16 ends at 65504"):
        round_to_float16("w", np.array([0.0, -65510.0]))


def graph(value=1.0, opset=20, kind=np.float32):
    build = Builder()
    weight = build.constant("w", np.array([value], kind))
    build.constant("size", np.array([1], np.int64))
    proto = build.model({"x": [1]}, build.node("Mul", ["x", weight], "y"), 1)
    proto.opset_import[0].version = opset
    return proto


def test_floats_are_found_among_the_values():
    assert find_floats(graph()) == {"x", "w", "y"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value": float("inf")}, "w has NaN or infinite values"),
        ({"opset": 17}, "has opset 17, .* export with --opset 20"),
    ],
)
def test_what_can_not_be_halved_is_refused(fields, words):
    with pytest.raises(ExportError, match=words):
        find_floats(graph(**fields))


def test_other_floats_and_unknown_operations_are_refused():
    proto = graph()
    proto.graph.initializer[0].data_type = TensorProto.DOUBLE
    with pytest.raises(ExportError, match="w is double; pass a graph that is float32"):
        find_floats(proto)
    proto = graph()
    proto.graph.node[0].op_type, proto.graph.node[0].domain = "Odd", "com.microsoft"
    proto.opset_import.add(domain="com.microsoft", version=1)
    proto.graph.output[0].ClearField("type")
    with pytest.raises(ExportError, match="is a Odd, whose type ONNX can't infer"):
        find_floats(proto)


def masked(constant, kind="Add", behind="Softmax"):
    build = Builder()
    names = ["x", build.constant("m", np.array(constant, np.float32))]
    if kind == "Where":
        names = [build.constant("c", np.array([True, False])), *names]
    build.node(behind, [build.node(kind, names, "a")], "y")
    return build.model({"x": [2]}, "y", 1)


def test_a_mask_may_be_infinite_and_a_bias_may_not():
    for kind in ("Add", "Where", "Max"):
        assert "m" in find_floats(masked([0, -np.inf], kind))
        with pytest.raises(ExportError, match="m has NaN or infinite values"):
            find_floats(masked([0, np.nan], kind))
    with pytest.raises(ExportError, match="m has NaN or infinite values"):
        find_floats(masked([0, -np.inf], "Add", "Relu"))


def test_some_inputs_and_outputs_are_float32_whatever_else_is():
    resize = helper.make_node("Resize", ["x", "", "s"], ["y"])
    assert float32_inputs(resize) == {2}
    assert float32_inputs(helper.make_node("Gather", ["x", "i"], ["y"])) == {1}
    assert float32_inputs(helper.make_node("Concat", ["x", "z", "w"], ["y"])) == set()
    assert not makes_float32(resize)
    assert not makes_float32(helper.make_node("Where", ["c", "x", "z"], ["y"]))
    assert makes_float32(helper.make_node("ConstantOfShape", ["s"], ["y"]))
    assert makes_float32(helper.make_node("Range", ["a", "b", "c"], ["y"]))


def test_numbers_beyond_float16_are_told():
    assert is_beyond(np.array([-3.4e38], np.float32))
    assert is_beyond(np.array([-np.inf], np.float32))
    assert not is_beyond(np.array([-65504], np.float32))
    assert not is_beyond(np.array([1 << 40]))
    assert not is_beyond(None)
    kinds = {kind: saturates(helper.make_node(kind, ["x"], ["y"])) for kind in ("Clip", "Add")}
    assert kinds == {"Clip": True, "Add": False}
